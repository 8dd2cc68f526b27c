#!/usr/bin/env bash
AUTH=http://127.0.0.1:${AUTH_PORT:-8001}
WALLET=http://127.0.0.1:${WALLET_PORT:-8002}
RUN=$(date +%s)
JSON='Content-Type: application/json'

# A user registers and logs in.
USER_JSON="{\"username\": \"alice-$RUN\", \"password\": \"correct horse battery\"}"
curl -s "$AUTH/users/" -H "$JSON" -d "$USER_JSON"; echo
PAIR=$(curl -s "$AUTH/auth/login" -H "$JSON" -d "$USER_JSON")
BEARER="Authorization: Bearer $(jq -r .access_token <<<"$PAIR")"
curl -s "$AUTH/users/me" -H "$BEARER" | jq .

# She opens two accounts, and 100.00 comes into the first.
FIRST=$(curl -s -X POST "$WALLET/wallet/accounts" -H "$BEARER" | jq -r .id)
SECOND=$(curl -s -X POST "$WALLET/wallet/accounts" -H "$BEARER" | jq -r .id)
curl -s "$WALLET/wallet/deposit" -H "$BEARER" -H "$JSON" \
    -d "{\"account_id\": \"$FIRST\", \"amount\": \"100.00\", \"idempotency_key\": \"deposit-$RUN\"}"; echo

# 40.00 of it go to the second.
TRANSFER="{\"from_account_id\": \"$FIRST\", \"to_account_id\": \"$SECOND\",
    \"amount\": \"40.00\", \"idempotency_key\": \"transfer-$RUN\"}"
curl -s "$WALLET/wallet/transfer" -H "$BEARER" -H "$JSON" -d "$TRANSFER"; echo
curl -s "$WALLET/wallet/accounts" -H "$BEARER" | jq .
curl -s "$WALLET/wallet/accounts/$FIRST/transactions" -H "$BEARER" | jq .

# The same key again: 409, and nothing moves.
curl -s "$WALLET/wallet/transfer" -H "$BEARER" -H "$JSON" -d "$TRANSFER" | jq .

# The session goes on with new tokens, until she logs out; then the old ones are worth nothing.
PAIR=$(jq '{refresh_token}' <<<"$PAIR" | curl -s "$AUTH/auth/refresh" -H "$JSON" -d @-)
BEARER="Authorization: Bearer $(jq -r .access_token <<<"$PAIR")"
curl -s "$AUTH/auth/sessions" -H "$BEARER" | jq .
curl -s -o /dev/null -w 'logout: %{http_code}\n' -X POST "$AUTH/auth/logout" -H "$BEARER"
curl -s "$AUTH/users/me" -H "$BEARER" | jq .detail
jq '{refresh_token}' <<<"$PAIR" | curl -s "$AUTH/auth/refresh" -H "$JSON" -d @- | jq .detail
