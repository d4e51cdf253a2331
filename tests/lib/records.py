"""What the store of a world has on record."""
import sqlite3


def rows(world, query, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(query, arguments).fetchall()


def refusals(world, code):
    """Rows of the audit log with that code, the oldest first."""
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM audit WHERE code = ? ORDER BY rowid", (code,))]
