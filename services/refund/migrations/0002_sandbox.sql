-- What the sandbox provider has paid: a repeated command or a question gets the same answer, also after a crash.

CREATE TABLE sandbox_payment (
    payment_key text PRIMARY KEY,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    provider_reference text NOT NULL
);
