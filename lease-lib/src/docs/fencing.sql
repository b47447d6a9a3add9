-- Fencing in PostgreSQL: a write that comes with an old token changes nothing.
--
-- Tokens are positive and below 2^53: bigint. Every statement compares and writes at once, under the row's lock, so it
-- is right at every isolation level. Of two at once the second waits for the first, and then READ COMMITTED looks at
-- the row as it is now; REPEATABLE READ and SERIALIZABLE fail it with 40001: repeat the transaction, with the same
-- token. What is wrong at READ COMMITTED, and so by default: SELECT the fence, compare it in the program, then UPDATE
-- without the condition.

-- ---------------------------------------------------------------------------------------------------------------
-- 1. The fence in the row that it protects.

CREATE TABLE account (
    id      text   PRIMARY KEY,
    balance bigint NOT NULL,
    fence   bigint NOT NULL DEFAULT 0   -- the highest token that has written here
);

-- Take over: the first statement of a new holder, before it reads anything. From here on, older tokens are refused.
-- Without it an old write could still come between this holder's read and its first write.
PREPARE take_over (text, bigint) AS
UPDATE account SET fence = $2
WHERE id = $1 AND fence <= $2
RETURNING balance;

-- Write. One row: written. No row: a newer holder was here (or there is no such account): stop, and write nothing
-- more under this lease. `<=`, because one holder writes more than once with the one token it has.
PREPARE write (text, bigint, bigint) AS
UPDATE account SET balance = $2, fence = $3
WHERE id = $1 AND fence <= $3;

-- Write, whether it is there or not. No row: a newer holder was here, and nothing else.
PREPARE put (text, bigint, bigint) AS
INSERT INTO account (id, balance, fence) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, fence = excluded.fence
WHERE account.fence <= excluded.fence;

-- Write as one of several holders of a shared lock. Each has a token of its own, and all are holders at once, so none
-- may raise the fence: it would lock out those who came before it. `<`, because the fence is the token of an exclusive
-- grant: whoever was granted later has a higher one, whoever was granted earlier has lost.
PREPARE write_shared (text, bigint, bigint) AS
UPDATE account SET balance = $2
WHERE id = $1 AND fence < $3;

-- Never DELETE such a row under a lease: its fence goes with it, and an old `put` would bring it back. Mark it deleted,
-- or keep the fence apart:

-- ---------------------------------------------------------------------------------------------------------------
-- 2. A fence for each resource, whatever tables that touches: call it first in every transaction.

CREATE TABLE lease_fences (
    resource  text   PRIMARY KEY,
    exclusive bigint NOT NULL DEFAULT 0,  -- the highest token of an exclusive grant that was seen
    shared    bigint NOT NULL DEFAULT 0   -- the highest token of a shared grant that was seen
);

-- Raises LF001 where the token is old, so the transaction cannot commit. The fence stays locked until the transaction
-- ends: a newer holder's first call waits for it, and the next one of this token is refused. Rows stay; they are small,
-- and there are as many as there are names of locks.
CREATE FUNCTION lease_fence(resource text, token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lease_fences AS f (resource, exclusive) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT lease_fences_pkey DO UPDATE SET exclusive = excluded.exclusive
    WHERE f.exclusive <= excluded.exclusive AND f.shared < excluded.exclusive;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fencing token % of % is old', $2, $1
            USING ERRCODE = 'LF001', HINT = 'The lease was lost and somebody else has written since: stop.';
    END IF;
END $$;

-- The same for a holder of a shared lock: it is refused after a later exclusive grant, and refuses earlier exclusive
-- ones. Holders of one shared lock take turns here for the length of their transactions.
CREATE FUNCTION lease_fence_shared(resource text, token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lease_fences AS f (resource, shared) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT lease_fences_pkey DO UPDATE SET shared = greatest(f.shared, excluded.shared)
    WHERE f.exclusive < excluded.shared;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fencing token % of % is old', $2, $1
            USING ERRCODE = 'LF001', HINT = 'The lease was lost and somebody else has written since: stop.';
    END IF;
END $$;
