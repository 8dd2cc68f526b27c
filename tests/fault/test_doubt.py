"""What was in doubt stays in doubt, whatever else happens to its batch, until it is known."""

from scenes import in_background, refuse
from support.api import User, assert_ok, new_key
from support.journal import transactions_of
from support.service import Service
from support.waiting import wait_until

SLEEP_AND_RAISE = """
    PERFORM pg_sleep(0.5);
    RAISE EXCEPTION 'refused for the test' USING ERRCODE = 'SQLCODE';"""


def test_a_split_does_not_end_the_doubt(bank, secret, tmp_path):
    """The COMMIT of [deposit, refused withdrawal] is lost, though done. Meanwhile the withdrawal
    becomes possible, so the second attempt finds the deposit done and posts the withdrawal, which
    the database refuses: the batch is halved. Then the deposit's account is locked by somebody
    until the deadline. The deposit is posted; "unavailable, nothing was done" would be a lie."""
    refuse(bank, "NEW.amount IN (66613, -66613)", SLEEP_AND_RAISE)
    user, keys = bank.user(), [new_key(), new_key()]
    mine, poor = user.account(), user.account(funds="5")
    operations = [
        {"type": "deposit", "account_id": mine, "amount": "1", "idempotency_key": keys[0]},
        {"type": "withdraw", "account_id": poor, "amount": "666.13", "idempotency_key": keys[1]}]
    second = Service("wallet_api", {**bank.database.environment(), "JWT_SECRET": secret,
                                    "THREADS": "1"}, tmp_path / "second").start()
    other = User(second, secret, token=user.token, user_id=user.id)
    try:
        bank.proxy.tell("commit", door=0, mode="reply", hold_s=2.6, reset=False)
        answer = in_background(lambda: user.http.post("/wallet/batch",
                                                      json={"operations": operations}))
        wait_until(lambda: bank.proxy.fired()["reply"] == 1, "the COMMIT is lost")
        assert_ok(other.deposit(poor, "1000"))
        wait_until(lambda: bank.database.query(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s",
            (bank.database.name,)) == [(1,)], "the second attempt writes the withdrawal", 5, 0.005)
        with bank.database.connect() as connection:
            connection.execute("BEGIN")
            # Waits for the second attempt's lock, and so is first when that attempt has failed.
            connection.execute("SELECT FROM ledger.balance WHERE account_id = %s FOR UPDATE",
                               (mine,))
            body = answer().json()
            connection.execute("ROLLBACK")
    finally:
        other.http.close()
        second.stop()
    assert transactions_of(bank.database, keys)[keys[0]] == 1, "expected the deposit to be posted"
    deposit = body["results"][0]
    assert deposit["status"] == 200 or deposit["type"].endswith(":outcome_unknown"), deposit
    wait_until(lambda: bank.service.probe("/readyz") == 200, "the service is ready")
    again = user.money("deposit", {"account_id": mine, "amount": "1"}, {"Idempotency-Key": keys[0]})
    assert assert_ok(again)["new_balance"] == "1.00"
