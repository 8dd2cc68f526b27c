/*
 * token: every token here is put together by this file, with OpenSSL's HMAC and its own base64url,
 * so that what is tested does not also make the test.  `tokens` is the attack list, a row per case:
 * header and payload as text, how they are put together, and what must come out.
 */
#include "service_kit/token.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/json.h"

#define NOW      INT64_C(1700000000)
#define SECRET   "a-secret-of-the-tests-32-bytes-or-more"
#define SUB      "\"sub\":\"01890a5d-ac96-774b-bcce-b302099a8057\""
#define EXP      "\"exp\":1700003600"
#define HS256    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define MINIMUM  "{" SUB "," EXP "}"
#define WITH(x)  "{" SUB "," EXP "," x "}"
#define TEXT_MAX 16384

static const uint8_t subject[16] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                                    0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};
static const struct token_grant grant = {.subject = subject,
                                         .roles = HTTP_ROLE_USER | HTTP_ROLE_AUDITOR};

/* What a PEM of a public key looks like: the key of the confusion attack. */
#define PUBLIC_PEM                                                                                 \
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvTzC1Pm7yq3cYt5gJ0R0w8nU\n"   \
    "-----END PUBLIC KEY-----\n"

enum signing { WITH_SECRET, WITH_EMPTY_KEY, WITH_OTHER_KEY, WITH_PEM, WITH_SHORTER, WITH_LONGER };
enum digest { SHA256, SHA384, SHA512 };

struct token_case {
    const char *name;
    const char *header;
    const char *payload;
    enum token_result expected;
    const char *form; /* H, P, S: the segments; s: S without its last character; NULL: "H.P.S" */
    enum signing signing;
    enum digest digest;
    const char *raw_signature; /* hexadecimal, instead of a signature */
    const char *issuer, *audience;
};

/* Name, header, payload, what is expected, and further members by name. */
#define CASE(name_, header_, payload_, ...)                                                        \
    { .name = (name_), .header = (header_), .payload = (payload_), .expected = __VA_ARGS__ }

#define OK        TOKEN_VALID
#define MALFORMED TOKEN_MALFORMED
#define ALG       TOKEN_WRONG_ALGORITHM
#define SIGNATURE TOKEN_BAD_SIGNATURE
#define CLAIMS    TOKEN_BAD_CLAIMS

#define ZERO_32 "0000000000000000000000000000000000000000000000000000000000000000"

static const struct token_case tokens[] = {
    /* accepted */
    CASE("sub and exp alone", HS256, MINIMUM, OK),
    CASE("typ absent", "{\"alg\":\"HS256\"}", MINIMUM, OK),
    CASE("typ in lower case", "{\"typ\":\"jwt\",\"alg\":\"HS256\"}", MINIMUM, OK),
    CASE("header with white space", "{ \"alg\" :\n\"HS256\" }", MINIMUM, OK),
    CASE("alg written with an escape", "{\"alg\":\"\\u0048S256\"}", MINIMUM, OK),
    CASE("all that we issue", HS256, WITH("\"iat\":1699999990,\"nbf\":1700000000,\"jti\":\"x\""),
         OK),
    CASE("iat 30 s ahead", HS256, WITH("\"iat\":1700000030"), OK),
    CASE("nbf 30 s ahead", HS256, WITH("\"nbf\":1700000030"), OK),
    CASE("exp in one second", HS256, "{" SUB ",\"exp\":1700000001}", OK),
    CASE("exp at the end of the year 9999", HS256, "{" SUB ",\"exp\":253402300799}", OK),
    CASE("claims that we do not know", HS256, WITH("\"scope\":[\"a\",{\"b\":null}],\"admin\":true"),
         OK),
    CASE("iss and aud that nobody asks for", HS256, WITH("\"iss\":\"x\",\"aud\":[\"y\"]"), OK),
    CASE("iss as asked", HS256, WITH("\"iss\":\"https://a\""), OK, .issuer = "https://a"),
    CASE("aud as asked", HS256, WITH("\"aud\":\"wallet\""), OK, .audience = "wallet"),
    CASE("aud a list with us", HS256, WITH("\"aud\":[\"x\",\"wallet\"]"), OK, .audience = "wallet"),
    CASE("aud a list with us first", HS256, WITH("\"aud\":[\"wallet\",\"x\"]"), OK,
         .audience = "wallet"),

    /* the algorithm */
    CASE("alg none, no signature", "{\"alg\":\"none\"}", MINIMUM, MALFORMED, .form = "H.P."),
    CASE("alg none, signed", "{\"alg\":\"none\"}", MINIMUM, ALG),
    CASE("alg None", "{\"alg\":\"None\"}", MINIMUM, ALG),
    CASE("alg nOnE", "{\"alg\":\"nOnE\"}", MINIMUM, ALG),
    CASE("alg NONE", "{\"alg\":\"NONE\"}", MINIMUM, ALG),
    CASE("alg empty", "{\"alg\":\"\"}", MINIMUM, ALG),
    CASE("alg absent", "{\"typ\":\"JWT\"}", MINIMUM, ALG),
    CASE("header empty", "{}", MINIMUM, ALG),
    CASE("alg null", "{\"alg\":null}", MINIMUM, ALG),
    CASE("alg a number", "{\"alg\":256}", MINIMUM, ALG),
    CASE("alg a list", "{\"alg\":[\"HS256\"]}", MINIMUM, ALG),
    CASE("alg hs256", "{\"alg\":\"hs256\"}", MINIMUM, ALG),
    CASE("alg HS256 with a space", "{\"alg\":\"HS256 \"}", MINIMUM, ALG),
    CASE("alg HS25", "{\"alg\":\"HS25\"}", MINIMUM, ALG),
    CASE("alg HS256 and NUL", "{\"alg\":\"HS256\\u0000\"}", MINIMUM, MALFORMED),
    CASE("alg HS384", "{\"alg\":\"HS384\"}", MINIMUM, ALG, .digest = SHA384),
    CASE("alg HS512", "{\"alg\":\"HS512\"}", MINIMUM, ALG, .digest = SHA512),
    CASE("alg HS512, 32 bytes of signature", "{\"alg\":\"HS512\"}", MINIMUM, ALG),
    CASE("alg RS256", "{\"alg\":\"RS256\"}", MINIMUM, ALG),
    CASE("alg ES256", "{\"alg\":\"ES256\"}", MINIMUM, ALG),
    CASE("alg ES256, r and s zero", "{\"alg\":\"ES256\"}", MINIMUM, ALG,
         .raw_signature = ZERO_32 ZERO_32),
    CASE("alg PS256", "{\"alg\":\"PS256\"}", MINIMUM, ALG),
    CASE("alg EdDSA", "{\"alg\":\"EdDSA\"}", MINIMUM, ALG),
    CASE("alg twice, ours last", "{\"alg\":\"none\",\"alg\":\"HS256\"}", MINIMUM, MALFORMED),
    CASE("alg twice, ours first", "{\"alg\":\"HS256\",\"alg\":\"none\"}", MINIMUM, MALFORMED),
    CASE("alg twice, one escaped", "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", MINIMUM,
         MALFORMED),
    CASE("alg in another case too", "{\"alg\":\"HS256\",\"ALG\":\"none\"}", MINIMUM, MALFORMED),

    /* the rest of the header */
    CASE("crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", MINIMUM, MALFORMED),
    CASE("crit empty", "{\"alg\":\"HS256\",\"crit\":[]}", MINIMUM, MALFORMED),
    CASE("b64 false", "{\"alg\":\"HS256\",\"b64\":false}", MINIMUM, MALFORMED),
    CASE("b64 false and crit", "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", MINIMUM,
         MALFORMED),
    CASE("jwk", "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", MINIMUM, MALFORMED),
    CASE("jku", "{\"alg\":\"HS256\",\"jku\":\"https://evil.example/k\"}", MINIMUM, MALFORMED),
    CASE("x5u", "{\"alg\":\"HS256\",\"x5u\":\"https://evil.example/k\"}", MINIMUM, MALFORMED),
    CASE("x5c", "{\"alg\":\"HS256\",\"x5c\":[\"MIIB\"]}", MINIMUM, MALFORMED),
    CASE("x5t", "{\"alg\":\"HS256\",\"x5t\":\"AAAA\"}", MINIMUM, MALFORMED),
    CASE("zip", "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", MINIMUM, MALFORMED),
    CASE("cty JWT", "{\"alg\":\"HS256\",\"cty\":\"JWT\"}", MINIMUM, MALFORMED),
    CASE("kid unknown", "{\"alg\":\"HS256\",\"kid\":\"1\"}", MINIMUM, MALFORMED),
    CASE("kid empty", "{\"alg\":\"HS256\",\"kid\":\"\"}", MINIMUM, MALFORMED),
    CASE("kid a path", "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", MINIMUM, MALFORMED),
    CASE("kid SQL", "{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'k\"}", MINIMUM, MALFORMED),
    CASE("typ another", "{\"alg\":\"HS256\",\"typ\":\"JWE\"}", MINIMUM, MALFORMED),
    CASE("typ JWT and more", "{\"alg\":\"HS256\",\"typ\":\"JWT2\"}", MINIMUM, MALFORMED),
    CASE("typ at+jwt", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", MINIMUM, MALFORMED),
    CASE("typ empty", "{\"alg\":\"HS256\",\"typ\":\"\"}", MINIMUM, MALFORMED),
    CASE("typ a number", "{\"alg\":\"HS256\",\"typ\":1}", MINIMUM, MALFORMED),
    CASE("typ null", "{\"alg\":\"HS256\",\"typ\":null}", MINIMUM, MALFORMED),
    CASE("header a list", "[\"HS256\"]", MINIMUM, MALFORMED),
    CASE("header a text", "\"HS256\"", MINIMUM, MALFORMED),
    CASE("header null", "null", MINIMUM, MALFORMED),
    CASE("header not JSON", "{alg:HS256}", MINIMUM, MALFORMED),
    CASE("header cut", "{\"alg\":\"HS256\"", MINIMUM, MALFORMED),
    CASE("header and more", "{\"alg\":\"HS256\"}x", MINIMUM, MALFORMED),
    CASE("header with overlong UTF-8", "{\"alg\":\"HS256\xc0\x80\"}", MINIMUM, MALFORMED),
    CASE("header nested deep", "{\"alg\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", MINIMUM,
         MALFORMED),

    /* the signature */
    CASE("another key", HS256, MINIMUM, SIGNATURE, .signing = WITH_OTHER_KEY),
    CASE("the empty key", HS256, MINIMUM, SIGNATURE, .signing = WITH_EMPTY_KEY),
    CASE("a public PEM as key", HS256, MINIMUM, SIGNATURE, .signing = WITH_PEM),
    CASE("the key without its last byte", HS256, MINIMUM, SIGNATURE, .signing = WITH_SHORTER),
    CASE("the key and one byte more", HS256, MINIMUM, SIGNATURE, .signing = WITH_LONGER),
    CASE("32 zero bytes", HS256, MINIMUM, SIGNATURE, .raw_signature = ZERO_32),
    CASE("31 zero bytes", HS256, MINIMUM, MALFORMED, .raw_signature = ZERO_32 + 2),
    CASE("33 zero bytes", HS256, MINIMUM, MALFORMED, .raw_signature = ZERO_32 "00"),
    CASE("64 zero bytes", HS256, MINIMUM, MALFORMED, .raw_signature = ZERO_32 ZERO_32),
    CASE("SHA-384 under HS256", HS256, MINIMUM, MALFORMED, .digest = SHA384),
    CASE("SHA-512 under HS256", HS256, MINIMUM, MALFORMED, .digest = SHA512),
    CASE("signature cut by one character", HS256, MINIMUM, MALFORMED, .form = "H.P.s"),
    CASE("signature twice", HS256, MINIMUM, MALFORMED, .form = "H.P.SS"),
    CASE("signature of another payload", HS256, MINIMUM, SIGNATURE,
         .form = "H."
                 "eyJzdWIiOiIwMTg5MGE1ZC1hYzk2LTc3NGItYmNjZS1iMzAyMDk5YTgwNTYiLCJleHAiOjE3MDAwMDM2M"
                 "DB9.S"),

    /* shape */
    CASE("empty", HS256, MINIMUM, MALFORMED, .form = ""),
    CASE("one segment", HS256, MINIMUM, MALFORMED, .form = "H"),
    CASE("two segments", HS256, MINIMUM, MALFORMED, .form = "H.P"),
    CASE("four segments", HS256, MINIMUM, MALFORMED, .form = "H.P.S.S"),
    CASE("five segments, as a JWE", HS256, MINIMUM, MALFORMED, .form = "H.P.S.P.S"),
    CASE("only dots", HS256, MINIMUM, MALFORMED, .form = ".."),
    CASE("no header", HS256, MINIMUM, MALFORMED, .form = ".P.S"),
    CASE("no payload", HS256, MINIMUM, MALFORMED, .form = "H..S"),
    CASE("no signature", HS256, MINIMUM, MALFORMED, .form = "H.P."),
    CASE("a dot at the end", HS256, MINIMUM, MALFORMED, .form = "H.P.S."),
    CASE("a dot at the start", HS256, MINIMUM, MALFORMED, .form = ".H.P.S"),
    CASE("padding =", HS256, MINIMUM, MALFORMED, .form = "H.P.S="),
    CASE("padding ==", HS256, MINIMUM, MALFORMED, .form = "H.P.S=="),
    CASE("padding in the header", HS256, MINIMUM, MALFORMED, .form = "H=.P.S"),
    CASE("padding in the payload", HS256, MINIMUM, MALFORMED, .form = "H.P=.S"),
    CASE("space in front", HS256, MINIMUM, MALFORMED, .form = " H.P.S"),
    CASE("space behind", HS256, MINIMUM, MALFORMED, .form = "H.P.S "),
    CASE("space within", HS256, MINIMUM, MALFORMED, .form = "H. P.S"),
    CASE("newline behind", HS256, MINIMUM, MALFORMED, .form = "H.P.S\n"),
    CASE("carriage return behind", HS256, MINIMUM, MALFORMED, .form = "H.P.S\r\n"),
    CASE("tab within", HS256, MINIMUM, MALFORMED, .form = "H.P\t.S"),
    CASE("quotes around", HS256, MINIMUM, MALFORMED, .form = "\"H.P.S\""),
    CASE("the other alphabet: +", HS256, MINIMUM, MALFORMED, .form = "H.P+.S"),
    CASE("the other alphabet: /", HS256, MINIMUM, MALFORMED, .form = "H.P/.S"),
    CASE("percent-encoded", HS256, MINIMUM, MALFORMED, .form = "H%2eP%2eS"),
    CASE("not ASCII", HS256, MINIMUM, MALFORMED, .form = "H.P\xc3\xa9.S"),
    CASE("another token behind", HS256, MINIMUM, MALFORMED, .form = "H.P.S,H.P.S"),

    /* the payload */
    CASE("payload a list", HS256, "[]", MALFORMED),
    CASE("payload a text", HS256, "\"sub\"", MALFORMED),
    CASE("payload not JSON", HS256, "{sub:1}", MALFORMED),
    CASE("payload cut", HS256, "{" SUB "," EXP, MALFORMED),
    CASE("payload and more", HS256, MINIMUM "{}", MALFORMED),
    CASE("sub twice", HS256, WITH(SUB), MALFORMED),
    CASE("exp twice", HS256, "{" SUB ",\"exp\":1," EXP "}", MALFORMED),
    CASE("a name twice, deep within", HS256, WITH("\"x\":[{\"y\":1,\"y\":2}]"), MALFORMED),
    CASE("NUL in a claim", HS256, WITH("\"x\":\"\\u0000\""), MALFORMED),
    CASE("half a surrogate pair in a claim", HS256, WITH("\"x\":\"\\ud800\""), MALFORMED),
    CASE("invalid UTF-8 in a claim", HS256, WITH("\"x\":\"\xff\""), MALFORMED),
    CASE("nested deep", HS256, WITH("\"x\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]"), MALFORMED),
    CASE("sub absent", HS256, "{" EXP "}", CLAIMS),
    CASE("sub null", HS256, "{\"sub\":null," EXP "}", CLAIMS),
    CASE("sub empty", HS256, "{\"sub\":\"\"," EXP "}", CLAIMS),
    CASE("sub a number", HS256, "{\"sub\":1," EXP "}", CLAIMS),
    CASE("sub a list", HS256, "{\"sub\":[\"01890a5d-ac96-774b-bcce-b302099a8057\"]," EXP "}",
         CLAIMS),
    CASE("sub not a UUID", HS256, "{\"sub\":\"admin\"," EXP "}", CLAIMS),
    CASE("sub cut", HS256, "{\"sub\":\"01890a5d-ac96-774b-bcce-b302099a805\"," EXP "}", CLAIMS),
    CASE("sub longer", HS256, "{\"sub\":\"01890a5d-ac96-774b-bcce-b302099a80570\"," EXP "}",
         CLAIMS),
    CASE("sub upper case", HS256, "{\"sub\":\"01890A5D-ac96-774b-bcce-b302099a8057\"," EXP "}",
         CLAIMS),
    CASE("sub without dashes", HS256, "{\"sub\":\"01890a5dac96774bbcceb302099a8057\"," EXP "}",
         CLAIMS),
    CASE("sub in braces", HS256, "{\"sub\":\"{01890a5d-ac96-774b-bcce-b302099a8057}\"," EXP "}",
         CLAIMS),
    CASE("sub SQL", HS256, "{\"sub\":\"01890a5d-ac96-774b-bcce-' or '1'='1'\"," EXP "}", CLAIMS),
    CASE("exp absent", HS256, "{" SUB "}", CLAIMS),
    CASE("exp null", HS256, "{" SUB ",\"exp\":null}", CLAIMS),
    CASE("exp a text", HS256, "{" SUB ",\"exp\":\"1700003600\"}", CLAIMS),
    CASE("exp a list", HS256, "{" SUB ",\"exp\":[1700003600]}", CLAIMS),
    CASE("exp true", HS256, "{" SUB ",\"exp\":true}", CLAIMS),
    CASE("exp with a fraction", HS256, "{" SUB ",\"exp\":1700003600.0}", CLAIMS),
    CASE("exp with an exponent", HS256, "{" SUB ",\"exp\":17000036e2}", CLAIMS),
    CASE("exp 1e99", HS256, "{" SUB ",\"exp\":1e99}", CLAIMS),
    CASE("exp 1e400", HS256, "{" SUB ",\"exp\":1e400}", SIGNATURE), /* libjwt cannot read it */
    CASE("exp negative", HS256, "{" SUB ",\"exp\":-1}", CLAIMS),
    CASE("exp -0", HS256, "{" SUB ",\"exp\":-0}", CLAIMS),
    CASE("exp in the year 10000", HS256, "{" SUB ",\"exp\":253402300800}", CLAIMS),
    CASE("exp in milliseconds", HS256, "{" SUB ",\"exp\":1700003600000}", CLAIMS),
    CASE("exp of 64 bits", HS256, "{" SUB ",\"exp\":9223372036854775807}", CLAIMS),
    CASE("exp of 65 bits", HS256, "{" SUB ",\"exp\":18446744073709551617}", SIGNATURE),
    CASE("iat a text", HS256, WITH("\"iat\":\"1700000000\""), CLAIMS),
    CASE("iat with a fraction", HS256, WITH("\"iat\":1700000000.5"), CLAIMS),
    CASE("iat null", HS256, WITH("\"iat\":null"), CLAIMS),
    CASE("iat negative", HS256, WITH("\"iat\":-5"), CLAIMS),
    CASE("iat false", HS256, WITH("\"iat\":false"), CLAIMS),
    CASE("nbf a text", HS256, WITH("\"nbf\":\"1\""), CLAIMS),
    CASE("nbf with an exponent", HS256, WITH("\"nbf\":1e3"), CLAIMS),
    CASE("nbf an object", HS256, WITH("\"nbf\":{}"), CLAIMS),
    CASE("iss absent", HS256, MINIMUM, CLAIMS, .issuer = "https://a"),
    CASE("iss with a slash more", HS256, WITH("\"iss\":\"https://a/\""), CLAIMS,
         .issuer = "https://a"),
    CASE("iss cut", HS256, WITH("\"iss\":\"https://\""), CLAIMS, .issuer = "https://a"),
    CASE("iss in upper case", HS256, WITH("\"iss\":\"HTTPS://A\""), CLAIMS, .issuer = "https://a"),
    CASE("iss empty", HS256, WITH("\"iss\":\"\""), CLAIMS, .issuer = "https://a"),
    CASE("iss a list", HS256, WITH("\"iss\":[\"https://a\"]"), CLAIMS, .issuer = "https://a"),
    CASE("aud absent", HS256, MINIMUM, CLAIMS, .audience = "wallet"),
    CASE("aud another", HS256, WITH("\"aud\":\"auth\""), CLAIMS, .audience = "wallet"),
    CASE("aud longer", HS256, WITH("\"aud\":\"wallet2\""), CLAIMS, .audience = "wallet"),
    CASE("aud a list without us", HS256, WITH("\"aud\":[\"a\",\"b\"]"), CLAIMS,
         .audience = "wallet"),
    CASE("aud an empty list", HS256, WITH("\"aud\":[]"), CLAIMS, .audience = "wallet"),
    CASE("aud a list with a number", HS256, WITH("\"aud\":[\"wallet\",1]"), CLAIMS,
         .audience = "wallet"),
    CASE("aud a list of lists", HS256, WITH("\"aud\":[[\"wallet\"]]"), CLAIMS,
         .audience = "wallet"),
    CASE("aud an object", HS256, WITH("\"aud\":{\"wallet\":1}"), CLAIMS, .audience = "wallet"),

    /* times */
    CASE("roles null", HS256, WITH("\"roles\":null"), CLAIMS),
    CASE("roles a text", HS256, WITH("\"roles\":\"admin\""), CLAIMS),
    CASE("roles an object", HS256, WITH("\"roles\":{\"admin\":\"admin\"}"), CLAIMS),
    CASE("roles with a number", HS256, WITH("\"roles\":[\"user\",8]"), CLAIMS),
    CASE("roles a list of lists", HS256, WITH("\"roles\":[[\"admin\"]]"), CLAIMS),
    CASE("exp now", HS256, "{" SUB ",\"exp\":1700000000}", TOKEN_EXPIRED),
    CASE("exp a second ago", HS256, "{" SUB ",\"exp\":1699999999}", TOKEN_EXPIRED),
    CASE("exp 0", HS256, "{" SUB ",\"exp\":0}", TOKEN_EXPIRED),
    CASE("exp 1", HS256, "{" SUB ",\"exp\":1}", TOKEN_EXPIRED),
    CASE("iat 31 s ahead", HS256, WITH("\"iat\":1700000031"), TOKEN_NOT_YET),
    CASE("iat years ahead", HS256, WITH("\"iat\":253402300799"), TOKEN_NOT_YET),
    CASE("nbf 31 s ahead", HS256, WITH("\"nbf\":1700000031"), TOKEN_NOT_YET),
    CASE("nbf ahead, iat fine", HS256, WITH("\"iat\":1700000000,\"nbf\":1700000100"),
         TOKEN_NOT_YET),
    CASE("expired with a wrong key", HS256, "{" SUB ",\"exp\":1}", SIGNATURE,
         .signing = WITH_OTHER_KEY),
};
#define TOKEN_COUNT ((int)(sizeof(tokens) / sizeof(tokens[0])))

/* ---- making tokens ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t base64url(const void *data, size_t length, char *out) {
    const unsigned char *bytes = data;
    size_t count = 0;
    for (size_t bit = 0; bit < length * 8; bit += 6) {
        unsigned six = 0;
        for (size_t i = bit; i < bit + 6; i++) {
            const unsigned byte = i < length * 8 ? bytes[i / 8] : 0;
            const unsigned one = byte >> (7 - i % 8) & 1U;
            six = six << 1 | one;
        }
        out[count++] = alphabet[six];
    }
    out[count] = '\0';
    return count;
}

static size_t sign(const char *text, size_t length, enum signing signing, enum digest digest,
                   unsigned char out[64]) {
    static const char *const keys[] = {
        [WITH_SECRET] = SECRET,
        [WITH_EMPTY_KEY] = "",
        [WITH_OTHER_KEY] = "b-secret-of-the-tests-32-bytes-or-more",
        [WITH_PEM] = PUBLIC_PEM,
        [WITH_SHORTER] = "a-secret-of-the-tests-32-bytes-or-mor",
        [WITH_LONGER] = SECRET "x",
    };
    const EVP_MD *digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    unsigned size = 0;
    const char *key = keys[signing];
    ck_assert_ptr_nonnull(HMAC(digests[digest], key, (int)strlen(key), (const unsigned char *)text,
                               length, out, &size));
    return size;
}

static size_t from_hex(const char *hex, unsigned char *out) {
    const size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        const char pair[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return size;
}

/* Puts a token together as its row says. */
static size_t make_token(const struct token_case *row, char out[TEXT_MAX]) {
    static char header[TEXT_MAX], payload[TEXT_MAX], signing_input[TEXT_MAX];
    char signature[128];
    (void)base64url(row->header, strlen(row->header), header);
    (void)base64url(row->payload, strlen(row->payload), payload);
    const int length = snprintf(signing_input, sizeof(signing_input), "%s.%s", header, payload);
    unsigned char bytes[64];
    const size_t size = row->raw_signature != NULL
                            ? from_hex(row->raw_signature, bytes)
                            : sign(signing_input, (size_t)length, row->signing, row->digest, bytes);
    const size_t signature_length = base64url(bytes, size, signature);
    size_t at = 0;
    const char *form = row->form == NULL ? "H.P.S" : row->form;
    const bool literal = strlen(form) > 24; /* segments of its own, between H and S */
    for (size_t i = 0; form[i] != '\0'; i++) {
        const char c = form[i];
        const bool placeholder = !literal || i == 0 || form[i + 1] == '\0';
        const char *part = !placeholder           ? NULL
                           : c == 'H'             ? header
                           : c == 'P'             ? payload
                           : c == 'S' || c == 's' ? signature
                                                  : NULL;
        if (part == NULL) {
            out[at++] = c;
            continue;
        }
        const size_t part_length = c == 's' ? signature_length - 1 : strlen(part);
        memcpy(out + at, part, part_length);
        at += part_length;
    }
    return at;
}

static struct token_policy policy_of(const struct token_case *row) {
    return (struct token_policy){.secret = SECRET,
                                 .secret_length = strlen(SECRET),
                                 .issuer = row->issuer == NULL ? "" : row->issuer,
                                 .audience = row->audience == NULL ? "" : row->audience};
}

/* From a copy of just its length, so that reading on is seen by the sanitizer. */
static enum token_result verify(const struct token_policy *policy, const char *token, size_t length,
                                int64_t now_unix_s, struct token_claims *claims) {
    char *copy = malloc(length == 0 ? 1 : length);
    memcpy(copy, token, length);
    const enum token_result result = token_verify(policy, copy, length, now_unix_s, claims);
    free(copy);
    return result;
}

/* ---- verifying ---- */

START_TEST(token_is_judged) {
    const struct token_case *row = &tokens[_i];
    static char token[TEXT_MAX];
    const size_t length = make_token(row, token);
    const struct token_policy policy = policy_of(row);
    struct token_claims claims;
    memset(&claims, 0x5a, sizeof(claims));
    const enum token_result result = verify(&policy, token, length, NOW, &claims);
    ck_assert_msg(result == row->expected, "%s: %s, not %s", row->name, token_result_name(result),
                  token_result_name(row->expected));
    if (result == TOKEN_VALID) {
        ck_assert_mem_eq(claims.subject, subject, sizeof(subject));
        ck_assert_int_gt(claims.expires_at_unix_s, NOW);
    } else { /* nothing of a refused token gets out */
        static const struct token_claims none;
        ck_assert_mem_eq(claims.subject, none.subject, sizeof(none.subject));
        ck_assert_int_eq(claims.expires_at_unix_s, 0);
    }
}
END_TEST

START_TEST(list_is_long_enough) {
    int refused = 0;
    for (int i = 0; i < TOKEN_COUNT; i++) {
        refused += tokens[i].expected != TOKEN_VALID;
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(tokens[i].name, tokens[j].name);
        }
    }
    ck_assert_int_ge(refused, 60);
}
END_TEST

START_TEST(claims_are_read) {
    const struct token_case row = CASE("", HS256, "{" SUB ",\"exp\":1700000007}", OK);
    static char token[TEXT_MAX];
    const size_t length = make_token(&row, token);
    const struct token_policy policy = policy_of(&row);
    struct token_claims claims;
    ck_assert_int_eq(verify(&policy, token, length, NOW, &claims), TOKEN_VALID);
    ck_assert_int_eq(claims.expires_at_unix_s, 1700000007);
    ck_assert_int_eq(verify(&policy, token, length, NOW + 6, &claims), TOKEN_VALID);
    ck_assert_int_eq(verify(&policy, token, length, NOW + 7, &claims), TOKEN_EXPIRED);
    /* A policy that asks for nothing may also say so with NULL. */
    const struct token_policy silent = {.secret = SECRET, .secret_length = strlen(SECRET)};
    ck_assert_int_eq(verify(&silent, token, length, NOW, &claims), TOKEN_VALID);
}
END_TEST

START_TEST(roles_are_read) {
    static const struct {
        const char *payload;
        unsigned roles;
    } rows[] = {
        {MINIMUM, HTTP_ROLE_USER},
        {WITH("\"roles\":[]"), 0},
        {WITH("\"roles\":[\"admin\"]"), HTTP_ROLE_ADMIN},
        {WITH("\"roles\":[\"auditor\",\"operator\",\"auditor\"]"),
         HTTP_ROLE_AUDITOR | HTTP_ROLE_OPERATOR},
        {WITH("\"roles\":[\"user\",\"Admin\",\"root\",\"admin \",\"\"]"), HTTP_ROLE_USER},
        {WITH("\"role\":[\"admin\"]"), HTTP_ROLE_USER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct token_case row = CASE("", HS256, rows[i].payload, OK);
        static char token[TEXT_MAX];
        const size_t length = make_token(&row, token);
        const struct token_policy policy = policy_of(&row);
        struct token_claims claims;
        ck_assert_int_eq(verify(&policy, token, length, NOW, &claims), TOKEN_VALID);
        ck_assert_uint_eq(claims.roles, rows[i].roles);
    }
}
END_TEST

/* Whatever single bit is changed, and wherever the token is cut: never valid. */
START_TEST(every_change_is_refused) {
    const struct token_case row = CASE("", HS256, MINIMUM, OK);
    static char token[TEXT_MAX];
    const size_t length = make_token(&row, token);
    const struct token_policy policy = policy_of(&row);
    struct token_claims claims;
    for (size_t i = 0; i < length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            token[i] = (char)(token[i] ^ (char)(1U << bit));
            if (verify(&policy, token, length, NOW, &claims) == TOKEN_VALID) {
                ck_abort_msg("valid with bit %u of character %zu changed", bit, i);
            }
            token[i] = (char)(token[i] ^ (char)(1U << bit));
        }
        if (verify(&policy, token, i, NOW, &claims) == TOKEN_VALID) {
            ck_abort_msg("valid when cut at %zu", i);
        }
    }
    ck_assert_int_eq(verify(&policy, token, length, NOW, &claims), TOKEN_VALID);
}
END_TEST

/* The last character of a signature holds two bits that belong to no byte. */
START_TEST(signature_has_one_spelling) {
    const struct token_case row = CASE("", HS256, MINIMUM, OK);
    static char token[TEXT_MAX];
    const size_t length = make_token(&row, token);
    const struct token_policy policy = policy_of(&row);
    struct token_claims claims;
    int valid = 0, malformed = 0;
    for (size_t i = 0; i < 64; i++) {
        token[length - 1] = alphabet[i];
        const enum token_result result = verify(&policy, token, length, NOW, &claims);
        valid += result == TOKEN_VALID;
        malformed += result == TOKEN_MALFORMED;
    }
    ck_assert_int_eq(valid, 1);
    ck_assert_int_eq(malformed, 48);
}
END_TEST

/* The same for a header, where the signature covers the odd spelling. */
START_TEST(header_has_one_spelling) {
    static const struct {
        const char *header;
        enum { AS_IT_IS, SPARE_BIT_SET, ONE_CHARACTER_MORE } change;
    } rows[] = {
        {"{\"alg\":\"HS256\"}", AS_IT_IS},        {"{\"alg\":\"HS256\" }", AS_IT_IS},
        {"{\"alg\":\"HS256\"  }", AS_IT_IS},      {"{\"alg\":\"HS256\" }", SPARE_BIT_SET},
        {"{\"alg\":\"HS256\"  }", SPARE_BIT_SET}, {"{\"alg\":\"HS256\"}", ONE_CHARACTER_MORE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char segments[1024], token[1100], signature[64];
        size_t length = base64url(rows[i].header, strlen(rows[i].header), segments);
        if (rows[i].change == SPARE_BIT_SET) { /* the next character differs in the lowest bit */
            segments[length - 1] = alphabet[strchr(alphabet, segments[length - 1]) - alphabet + 1];
        } else if (rows[i].change == ONE_CHARACTER_MORE) { /* six bits of a byte that never comes */
            segments[length++] = 'A';
        }
        segments[length++] = '.';
        length += base64url(MINIMUM, strlen(MINIMUM), segments + length);
        unsigned char bytes[64];
        (void)base64url(bytes, sign(segments, length, WITH_SECRET, SHA256, bytes), signature);
        const int size = snprintf(token, sizeof(token), "%s.%s", segments, signature);
        const struct token_policy policy = {.secret = SECRET, .secret_length = strlen(SECRET)};
        struct token_claims claims;
        const enum token_result result = verify(&policy, token, (size_t)size, NOW, &claims);
        ck_assert_int_eq(result, rows[i].change == AS_IT_IS ? TOKEN_VALID : TOKEN_MALFORMED);
    }
}
END_TEST

/* Valid in all but its length: 4,096 characters pass, one more does not. */
START_TEST(length_is_limited) {
    const struct token_policy policy = {.secret = SECRET, .secret_length = strlen(SECRET)};
    static char payload[TEXT_MAX], token[TEXT_MAX];
    size_t longest_valid = 0, shortest_refused = SIZE_MAX;
    for (size_t filler = 2850; filler < 3100; filler++) {
        char *at = payload + snprintf(payload, 128, "{" SUB "," EXP ",\"x\":\"");
        memset(at, 'x', filler);
        memcpy(at + filler, "\"}", 3);
        const struct token_case row = CASE("", HS256, payload, OK);
        const size_t length = make_token(&row, token);
        struct token_claims claims;
        const enum token_result result = verify(&policy, token, length, NOW, &claims);
        if (result == TOKEN_VALID) {
            longest_valid = length > longest_valid ? length : longest_valid;
        } else {
            ck_assert_int_eq(result, TOKEN_MALFORMED);
            shortest_refused = length < shortest_refused ? length : shortest_refused;
        }
    }
    ck_assert_uint_ge(longest_valid, TOKEN_LENGTH_MAX - 1); /* lengths step by 1 and 2 */
    ck_assert_uint_le(longest_valid, TOKEN_LENGTH_MAX);
    ck_assert_uint_gt(shortest_refused, TOKEN_LENGTH_MAX);
}
END_TEST

START_TEST(huge_tokens_are_refused) {
    const size_t length = 400000;
    char *token = malloc(length);
    const struct token_policy policy = {.secret = SECRET, .secret_length = strlen(SECRET)};
    struct token_claims claims;
    memset(token, 'A', length);
    ck_assert_int_eq(token_verify(&policy, token, length, NOW, &claims), TOKEN_MALFORMED);
    token[100] = token[200] = '.';
    ck_assert_int_eq(token_verify(&policy, token, length, NOW, &claims), TOKEN_MALFORMED);
    memset(token, '.', length);
    ck_assert_int_eq(token_verify(&policy, token, length, NOW, &claims), TOKEN_MALFORMED);
    free(token);
}
END_TEST

/* Made once by others, with the secret below: PyJWT 2.6, and `openssl dgst -sha256 -hmac`. */
START_TEST(tokens_of_others_are_accepted) {
    static const char *const made[] = {
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTg5MGE1ZC1hYzk2LTc3NGItYmNjZS1iMzAyMDk5"
        "YTgwNTciLCJleHAiOjE5MDAwMDAwMDB9.o_OuzdYIALKwuxE7SD8aoflutan1QkL3RZW5fUvb3q8",
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE5MDAwMDAwMDAsInN1YiI6IjAxODkwYTVkLWFjOTYtNzc0Yi1iY2NlLWIz"
        "MDIwOTlhODA1NyJ9.I5_6fhIKQWSugYIe64W3milEdyDFIG0gvVCmEcZYRBI",
    };
    static const char secret[] = "interoperability-secret-of-32-bytes!";
    const struct token_policy policy = {.secret = secret, .secret_length = strlen(secret)};
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        struct token_claims claims;
        ck_assert_int_eq(verify(&policy, made[i], strlen(made[i]), NOW, &claims), TOKEN_VALID);
        ck_assert_mem_eq(claims.subject, subject, sizeof(subject));
        ck_assert_int_eq(claims.expires_at_unix_s, 1900000000);
    }
}
END_TEST

/* ---- issuing ---- */

/* Decodes one segment; the reverse of base64url above, bit by bit. */
static void decode(const char *segment, size_t length, char *out) {
    memset(out, 0, length + 1);
    for (size_t bit = 0; bit < length * 6 / 8 * 8; bit++) {
        const size_t value = (size_t)(strchr(alphabet, segment[bit / 6]) - alphabet);
        const unsigned one = (unsigned)(value >> (5 - bit % 6) & 1U);
        out[bit / 8] = (char)((unsigned char)out[bit / 8] | one << (7 - bit % 8));
    }
}

static const struct json_node *member(const struct json_document *document, const char *name) {
    return json_member(json_root(document), name);
}

/* The payload of a token that we issued; checks header and signature on the way. */
static struct json_document *open_issued(const char *token) {
    const char *first = strchr(token, '.'), *second = strrchr(token, '.');
    ck_assert(first != NULL && second > first);
    char text[4096], expected[128];
    unsigned char bytes[64];
    const size_t size = sign(token, (size_t)(second - token), WITH_SECRET, SHA256, bytes);
    (void)base64url(bytes, size, expected);
    ck_assert_str_eq(second + 1, expected);

    struct json_error error;
    decode(token, (size_t)(first - token), text);
    struct json_document *header = json_read(text, strlen(text), 10, &error);
    ck_assert_ptr_nonnull(header);
    ck_assert_uint_eq(json_root(header)->count, 2);
    ck_assert_str_eq(member(header, "alg")->text, "HS256");
    ck_assert_str_eq(member(header, "typ")->text, "JWT");
    json_free(header);

    decode(first + 1, (size_t)(second - first) - 1, text);
    struct json_document *payload = json_read(text, strlen(text), 10, &error);
    ck_assert_ptr_nonnull(payload);
    return payload;
}

START_TEST(issued_token_holds_what_it_should) {
    const struct token_policy plain = {
        .secret = SECRET, .secret_length = strlen(SECRET), .issuer = "", .audience = ""};
    char *token = token_issue(&plain, &grant, NOW, 3600);
    ck_assert_ptr_nonnull(token);
    struct json_document *payload = open_issued(token);
    ck_assert_uint_eq(json_root(payload)->count, 5);
    ck_assert_uint_eq(member(payload, "roles")->count, 2);
    ck_assert_str_eq(member(payload, "roles")->first->text, "user");
    ck_assert_str_eq(member(payload, "sub")->text, "01890a5d-ac96-774b-bcce-b302099a8057");
    ck_assert_str_eq(member(payload, "iat")->text, "1700000000");
    ck_assert_str_eq(member(payload, "exp")->text, "1700003600");
    ck_assert_uint_eq(member(payload, "jti")->length, 36);
    struct token_claims claims;
    ck_assert_int_eq(verify(&plain, token, strlen(token), NOW, &claims), TOKEN_VALID);
    ck_assert_mem_eq(claims.subject, subject, sizeof(subject));
    ck_assert_int_eq(claims.expires_at_unix_s, NOW + 3600);
    ck_assert_uint_eq(claims.roles, grant.roles);
    ck_assert_int_eq(verify(&plain, token, strlen(token), NOW + 3600, &claims), TOKEN_EXPIRED);

    char *other = token_issue(&plain, &grant, NOW, 3600);
    struct json_document *other_payload = open_issued(other);
    ck_assert_str_ne(member(payload, "jti")->text, member(other_payload, "jti")->text);
    json_free(payload);
    json_free(other_payload);
    free(token);
    free(other);
}
END_TEST

START_TEST(issuer_and_audience_go_along) {
    const struct token_policy strict = {.secret = SECRET,
                                        .secret_length = strlen(SECRET),
                                        .issuer = "https://a",
                                        .audience = "wallet"};
    struct token_policy other = strict;
    char *token = token_issue(&strict, &grant, NOW, 60);
    ck_assert_ptr_nonnull(token);
    struct json_document *payload = open_issued(token);
    ck_assert_str_eq(member(payload, "iss")->text, "https://a");
    ck_assert_str_eq(member(payload, "aud")->text, "wallet");
    json_free(payload);
    struct token_claims claims;
    ck_assert_int_eq(verify(&strict, token, strlen(token), NOW, &claims), TOKEN_VALID);
    other.issuer = "https://b";
    ck_assert_int_eq(verify(&other, token, strlen(token), NOW, &claims), TOKEN_BAD_CLAIMS);
    other.issuer = "";
    ck_assert_int_eq(verify(&other, token, strlen(token), NOW, &claims), TOKEN_VALID);
    other.audience = "auth";
    ck_assert_int_eq(verify(&other, token, strlen(token), NOW, &claims), TOKEN_BAD_CLAIMS);
    free(token);
}
END_TEST

START_TEST(token_that_nobody_could_verify_is_not_issued) {
    static char issuer[4000];
    memset(issuer, 'x', sizeof(issuer) - 1);
    const struct token_policy policy = {
        .secret = SECRET, .secret_length = strlen(SECRET), .issuer = issuer, .audience = ""};
    ck_assert_ptr_null(token_issue(&policy, &grant, NOW, 60));
}
END_TEST

/* ---- keys that must not exist ---- */

static const struct token_policy short_key = {.secret = SECRET, .secret_length = 31};
static const struct token_policy no_key = {.secret = NULL, .secret_length = 0};

START_TEST(verifying_with_a_short_key_aborts) {
    struct token_claims claims;
    (void)!token_verify(&short_key, "a.b.c", 5, NOW, &claims);
}
END_TEST

START_TEST(verifying_without_a_key_aborts) {
    struct token_claims claims;
    (void)!token_verify(&no_key, "a.b.c", 5, NOW, &claims);
}
END_TEST

START_TEST(issuing_with_a_short_key_aborts) {
    free(token_issue(&short_key, &grant, NOW, 60));
}
END_TEST

START_TEST(issuing_without_a_lifetime_aborts) {
    const struct token_policy policy = {.secret = SECRET, .secret_length = strlen(SECRET)};
    free(token_issue(&policy, &grant, NOW, 0));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("token");
    TCase *verifying = tcase_create("verifying");
    tcase_set_timeout(verifying, 60);
    tcase_add_loop_test(verifying, token_is_judged, 0, TOKEN_COUNT);
    tcase_add_test(verifying, list_is_long_enough);
    tcase_add_test(verifying, claims_are_read);
    tcase_add_test(verifying, roles_are_read);
    tcase_add_test(verifying, every_change_is_refused);
    tcase_add_test(verifying, signature_has_one_spelling);
    tcase_add_test(verifying, header_has_one_spelling);
    tcase_add_test(verifying, length_is_limited);
    tcase_add_test(verifying, huge_tokens_are_refused);
    tcase_add_test(verifying, tokens_of_others_are_accepted);
    suite_add_tcase(suite, verifying);
    TCase *issuing = tcase_create("issuing");
    tcase_add_test(issuing, issued_token_holds_what_it_should);
    tcase_add_test(issuing, issuer_and_audience_go_along);
    tcase_add_test(issuing, token_that_nobody_could_verify_is_not_issued);
    suite_add_tcase(suite, issuing);

    SRunner *runner = srunner_create(suite);
    if (srunner_fork_status(runner) == CK_FORK) { /* without a fork they would end the test */
        TCase *keys = tcase_create("keys");
        tcase_add_test_raise_signal(keys, verifying_with_a_short_key_aborts, SIGABRT);
        tcase_add_test_raise_signal(keys, verifying_without_a_key_aborts, SIGABRT);
        tcase_add_test_raise_signal(keys, issuing_with_a_short_key_aborts, SIGABRT);
        tcase_add_test_raise_signal(keys, issuing_without_a_lifetime_aborts, SIGABRT);
        suite_add_tcase(suite, keys);
    }
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
