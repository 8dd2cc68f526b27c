/*
 * Design.  The fingerprint of a request: fixed-width fields in a fixed order, so that no two
 * different requests have the same bytes, behind a version that may grow.  The amount is taken in
 * its canonical form: 1.50 and 1.5 are the same request.  A request that names an effective time
 * has the second version, with that time behind the rest.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "ledger_core/journal/journal.h"
#include "ledger_core/journal/wire.h"

#define VERSION       1
#define VERSION_DATED 2

void journal_digest(struct journal_command *command) {
    uint8_t text[1 + 1 + 16 + 16 + 16 + 16 + 1 + 8] = {0};
    uint8_t *at = text;
    *at++ = command->dated ? VERSION_DATED : VERSION;
    *at++ = (uint8_t)command->kind;
    memcpy(at, command->principal.bytes, 16);
    at += 16;
    memcpy(at, command->own_account.bytes, 16);
    at += 16;
    if (command->kind == POSTING_TRANSFER)
        memcpy(at, command->other_account.bytes, 16);
    at += 16;
    struct money_decimal amount = money_canonical(command->amount);
    wire_int64_put(at, (int64_t)(amount.coefficient >> 64));
    wire_int64_put(at + 8, (int64_t)(uint64_t)amount.coefficient);
    at += 16;
    *at++ = amount.decimals;
    if (command->dated) {
        wire_int64_put(at, command->effective_us);
        at += 8;
    }
    assert(at == text + sizeof(text) - (command->dated ? 0 : 8));
    unsigned int length = 0;
    int done = EVP_Digest(text, (size_t)(at - text), command->digest, &length, EVP_sha256(), NULL);
    assert(done == 1 && length == POSTING_DIGEST_SIZE);
    (void)done;
}
