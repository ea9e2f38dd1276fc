"""The ledger's tables: its entries, which the database refuses to change or delete, and what it is known by."""

from sqlalchemy import DDL, Column, Integer, MetaData, String, Table, Text, event

from tasks.registry.identity import ROLES

METADATA = MetaData()

PROMOTIONS = Table(
    "promotions",
    METADATA,
    Column("model", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *(Column(name, String(64), nullable=False) for name in ("action", "champion", "previous", "challenger")),
    *(Column(name, Text, nullable=False) for name in ("reason", "actor", "verdict")),
    *(Column(name, Text, nullable=False) for name in ("holdout", "splits", "trigger", "flow_run", "mlflow_run")),
    *(Column(name, String(64), nullable=False) for name in ("created", "predecessor", "digest")),
    *(Column(f"{role}_content", String(64), nullable=False) for role in ROLES),
)

# One row: the name, drawn once, by which a registry tells this ledger from any other.
IDENTITY = Table(
    "ledger_identity",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("identity", String(64), nullable=False),
)

REFUSALS = {
    "sqlite": (
        "CREATE TRIGGER promotions_refuse_update BEFORE UPDATE ON promotions "
        "BEGIN SELECT RAISE(ABORT, 'entries of the ledger are never changed'); END",
        "CREATE TRIGGER promotions_refuse_delete BEFORE DELETE ON promotions "
        "BEGIN SELECT RAISE(ABORT, 'entries of the ledger are never deleted'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION promotions_refuse_change() RETURNS trigger AS "
        "$$ BEGIN RAISE EXCEPTION 'entries of the ledger are never changed'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER promotions_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON promotions "
        "EXECUTE FUNCTION promotions_refuse_change()",
    ),
}

# They are created in the transaction of the table; other databases are protected by what they grant.
for _dialect, _statements in REFUSALS.items():
    for _statement in _statements:
        event.listen(PROMOTIONS, "after_create", DDL(_statement).execute_if(dialect=_dialect))
