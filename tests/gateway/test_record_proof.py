"""G1: the record proves itself: every kind of tampering with a real store is found, and by what; what is not found is said.

One gateway makes a record with checkpoints; every test tampers with a copy of its store, as somebody could who owns the file.
"""
import hashlib
import json
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import api
from elsewhere import Log
from world import wait_until

ZEROS = "0" * 64
COLUMNS = ("sequence", "at", "event", "code", "request_id", "device", "user", "address", "detail", "previous_hash")
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def hash_of(row):
    """Written anew from docs/record.md: what an attacker can compute as well as anybody."""
    fields = [str(row[column]).encode() for column in COLUMNS]
    return hashlib.sha256(b"".join(b"%d:%s," % (len(f), f) for f in fields)).hexdigest()


class Copy:
    """A store in somebody's hands."""

    def __init__(self, path, world):
        self.path, self.world = path, world

    def change(self, *statements):
        with sqlite3.connect(self.path) as database:
            for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                database.execute(statement)
        database.close()

    def query(self, text):
        database = sqlite3.connect(self.path)
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(text).fetchall()]
        database.close()
        return rows

    def rewrite_from(self, first):
        """Makes the chain fit again from there on: hashes are no secret."""
        previous, statements = ZEROS, []
        for row in self.query("SELECT * FROM audit ORDER BY sequence"):
            if row["sequence"] >= first:
                row["previous_hash"] = previous
                row["hash"] = hash_of(row)
                statements.append(f"UPDATE audit SET previous_hash = '{previous}', hash = '{row['hash']}' "
                                  f"WHERE sequence = {row['sequence']}")
            previous = row["hash"]
        self.change(*statements)

    def verify(self, *options, key=True):
        command = [self.world.program("sallyport-admin"), "--json", "audit", "verify", "--store", str(self.path), *map(str, options)]
        if key:
            command += ["--key", str(self.world.path("etc", "audit.pub"))]
        done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


def copy_store(source, target):
    """As a backup does: also what still stands beside the file (-wal)."""
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    one.backup(other)
    one.close()
    other.close()


def checkpoints_of(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = database.execute("SELECT sequence FROM checkpoint ORDER BY sequence").fetchall()
    database.close()
    return [row[0] for row in rows]


@pytest.fixture(scope="module")
def recorded(programs):
    """A world with a record of some checkpoints, stopped in good order, and what it told elsewhere at two times."""
    from worlds import Worlds
    worlds = Worlds(programs)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-record.", dir="/tmp"))
    folder.chmod(0o755)
    log = Log("unix", folder / "log")
    world = worlds(settings=['audit_checkpoint_records = 8', 'audit_checkpoint_time = "1s"',
                             f'alert "log" {{ events = {{"checkpoint"}} to = "syslog:{folder}/log" }}'])
    try:
        def lines():
            done = world.admin("audit", "checkpoints", "--store", world.database)
            return done.splitlines()
        for _ in range(3):
            before = len(lines())
            for _ in range(4):
                api.login(world)
            wait_until(lambda: len(lines()) > before, "a checkpoint")
        world.old_copy = folder / "old.db"
        world.admin("audit", "export", folder / "early", "--store", world.database, "--key", world.path("etc", "audit.pub"))
        copy_store(world.database, world.old_copy)
        for _ in range(4):
            api.login(world)
        count = len(lines())
        wait_until(lambda: len(lines()) > count, "a later checkpoint")
        world.elsewhere = folder / "elsewhere"
        wait_until(lambda: len([line for line in log.lines if '"checkpoint":' in line]) >= count + 1, "its arrival elsewhere")
        world.elsewhere.write_text("".join(line + "\n" for line in log.lines))
        world.live_verify = subprocess.run(
            [world.program("sallyport-admin"), "--json", "audit", "verify", "--store", str(world.database), "--key",
             str(world.path("etc", "audit.pub")), "--checkpoints", str(world.elsewhere)], text=True, capture_output=True, check=False)
        assert world.stop_process("gateway", 20) == 0
        yield world
    finally:
        log.close()
        worlds.close()
        shutil.rmtree(folder)


@pytest.fixture
def copy(recorded, tmp_path):
    path = tmp_path / "copy.db"
    copy_store(recorded.database, path)
    return Copy(path, recorded)


def middle(copy):
    """A record that a checkpoint covers and that is none itself."""
    covered = checkpoints_of(copy.path)[1]
    return next(row["sequence"] for row in reversed(copy.query("SELECT * FROM audit ORDER BY sequence"))
                if row["sequence"] < covered and row["event"] != "checkpoint")


def test_G1_a_whole_record_is_whole(recorded, copy):
    status, report = copy.verify("--checkpoints", recorded.elsewhere)
    assert status == 0 and report["whole"] and not report["findings"], report
    assert report["records"] == report["last"] == copy.query("SELECT max(sequence) AS n FROM audit")[0]["n"]
    assert report["checkpoints"] >= 8, "those of the store and those from elsewhere"
    assert recorded.live_verify.returncode == 0, recorded.live_verify
    assert json.loads(recorded.live_verify.stdout)["whole"]


@pytest.mark.parametrize("column", ["at", "event", "code", "request_id", "device", "user", "address", "detail", "hash", "previous_hash"])
def test_G1_a_change_is_found(copy, column):
    number = middle(copy)
    copy.change(f'UPDATE audit SET "{column}" = "{column}" || \'1\' WHERE sequence = {number}')
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == number, report
    assert any("was changed" in row["finding"] for row in report["findings"]), report


def test_G1_a_deletion_is_found(copy):
    number = middle(copy)
    copy.change(f"DELETE FROM audit WHERE sequence = {number}")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == number, report
    assert report["findings"][0]["finding"] == f"record {number} is missing"


def test_G1_deletion_of_the_first_records_is_found(copy):
    copy.change("DELETE FROM audit WHERE sequence <= 3")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == 1 and "records 1 to 3 are missing" in report["findings"][0]["finding"], report


def test_G1_an_insertion_is_found(copy):
    """All later records are moved by one; each then has the content of another number."""
    number = middle(copy)
    copy.change(f"UPDATE audit SET sequence = -sequence - 1 WHERE sequence >= {number}", "UPDATE audit SET sequence = -sequence WHERE sequence < 0",
                "INSERT INTO audit SELECT sequence - 1, at, 'login', '', '', device, 'mallory', address, 'made up', previous_hash, hash "
                f"FROM audit WHERE sequence = {number + 1}")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] <= number, report


def test_G1_reordering_is_found(copy):
    number = middle(copy)
    copy.change(f"UPDATE audit SET sequence = -1 WHERE sequence = {number}", f"UPDATE audit SET sequence = {number} WHERE sequence = {number - 1}",
                f"UPDATE audit SET sequence = {number - 1} WHERE sequence = -1")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == number - 1, report


def test_G1_a_chain_written_anew_is_found_by_its_checkpoints(copy):
    number = middle(copy)
    copy.change(f"UPDATE audit SET \"user\" = 'nobody' WHERE sequence = {number}")
    copy.rewrite_from(number)
    status, report = copy.verify()
    first = next(s for s in checkpoints_of(copy.path) if s >= number)
    assert status == 1 and report["first_bad"] == first and "written anew" in report["findings"][0]["finding"], report


def test_G1_a_checkpoint_made_by_another_is_found(copy, tmp_path):
    """The chain is written anew, and so are its checkpoints, by a key of the attacker's or by none."""
    number = middle(copy)
    copy.change(f"UPDATE audit SET \"user\" = 'nobody' WHERE sequence = {number}")
    copy.rewrite_from(number)
    copy.change("UPDATE checkpoint SET hash = (SELECT hash FROM audit WHERE audit.sequence = checkpoint.sequence)")
    status, report = copy.verify()
    assert status == 1 and "signature" in report["findings"][0]["finding"], report
    copy.change(f"UPDATE checkpoint SET key = '{64 * 'e'}'")
    status, report = copy.verify()
    assert status == 1 and "key that was not given" in report["findings"][0]["finding"], report


def test_G1_a_checkpoint_taken_out_is_found(copy):
    """It stands in the record too."""
    victim = checkpoints_of(copy.path)[1]
    copy.change(f"DELETE FROM checkpoint WHERE sequence = {victim}")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == victim and "not in the store's table" in report["findings"][0]["finding"], report


def test_G1_truncation_is_found(copy, recorded):
    last = checkpoints_of(copy.path)[-1]
    copy.change(f"DELETE FROM audit WHERE sequence >= {last}")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] == last and "cut off" in report["findings"][0]["finding"], report


def test_G1_truncation_with_its_checkpoints_needs_those_from_elsewhere(copy, recorded):
    """What is not found without them is said, and with them it is found."""
    last = checkpoints_of(copy.path)[-1]
    copy.change(f"DELETE FROM audit WHERE sequence >= {last}", f"DELETE FROM checkpoint WHERE sequence >= {last}")
    status, report = copy.verify()
    assert status == 0 and any("cut off together with their checkpoints" in text for text in report["not_covered"]), report
    status, report = copy.verify("--checkpoints", recorded.elsewhere)
    assert status == 1 and report["first_bad"] == last and "cut off" in report["findings"][0]["finding"], report


def test_G1_an_older_copy_needs_checkpoints_from_elsewhere(recorded):
    old = Copy(recorded.old_copy, recorded)
    status, report = old.verify()
    assert status == 0 and any("older copy" in text for text in report["not_covered"]), report
    status, report = old.verify("--checkpoints", recorded.elsewhere)
    assert status == 1 and report["first_bad"] == report["last"] + 1 and "older copy" in report["findings"][0]["finding"], report


def test_G1_records_behind_the_last_checkpoint_are_said_to_be_uncovered(copy):
    last = copy.query("SELECT * FROM audit ORDER BY sequence DESC LIMIT 1")[0]
    copy.change(f"UPDATE audit SET detail = 'otherwise' WHERE sequence = {last['sequence']}")
    copy.rewrite_from(last["sequence"])
    status, report = copy.verify()
    assert status == 0 and any(f"record {checkpoints_of(copy.path)[-1]}" in text for text in report["not_covered"]), report


def test_G1_without_a_key_signatures_are_said_to_be_unchecked(copy):
    status, report = copy.verify(key=False)
    assert status == 0 and any("signatures were not checked" in text for text in report["not_covered"]), report


def test_G1_what_cannot_be_checked_has_a_status_of_its_own(copy, tmp_path, recorded):
    def run(*options):
        done = subprocess.run([recorded.program("sallyport-admin"), "audit", "verify", *map(str, options)], text=True,
                              capture_output=True, check=False, timeout=60)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.returncode
    empty, garbage = tmp_path / "empty", tmp_path / "garbage"
    empty.write_text("nothing here\n")
    garbage.write_text(recorded.elsewhere.read_text().splitlines()[0][:-30] + "\n")
    assert run("--store", tmp_path / "missing.db") == 4
    assert run("--store", empty) == 4
    assert run("--store", copy.path, "--checkpoints", empty) == 4
    assert run("--store", copy.path, "--checkpoints", garbage) == 4
    assert run("--store", copy.path, "--key", empty) == 4


def test_G1_checkpoints_of_another_gateway_are_no_witnesses(copy, tmp_path, recorded):
    """Many gateways may tell the same log: foreign ones are counted; only foreign ones is no proof."""
    foreign = tmp_path / "foreign"
    text = recorded.elsewhere.read_text().splitlines()[0]
    line = json.loads(text[text.index('{"checkpoint"'):])
    foreign.write_text(json.dumps(dict(line, key="ab" * 32), separators=(",", ":")) + "\n")
    done = subprocess.run([recorded.program("sallyport-admin"), "audit", "verify", "--store", str(copy.path), "--key",
                           str(recorded.path("etc", "audit.pub")), "--checkpoints", str(foreign)], text=True, capture_output=True,
                          check=False)
    assert done.returncode == 4 and "holds no checkpoint of the given key" in done.stderr, done


# ---- for others' eyes ----

def outsiders_script():
    """The verifier of docs/record.md, verbatim."""
    text = (DOCS / "record.md").read_text()
    (script,) = [part.split("```")[0] for part in text.split("```sh\n")[1:]]
    return script


def run_outsider(folder):
    return subprocess.run(["bash", "-c", outsiders_script()], cwd=folder, text=True, capture_output=True, check=False, timeout=120)


def test_G1_an_export_is_verified_by_openssl_and_jq(recorded, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(recorded.old_copy.parent / "early", folder)
    done = run_outsider(folder)
    assert done.returncode == 0 and "are good" in done.stdout, done
    records, checkpoints = folder / "records.jsonl", folder / "checkpoints.jsonl"
    whole = records.read_text().splitlines()
    newest = json.loads(checkpoints.read_text().splitlines()[-1])["sequence"]
    for changed, word in [(whole[:5] + whole[6:], "record 7 is bad"), (whole[:5] + [whole[6], whole[5]] + whole[7:], "record 7 is bad"),
                          (whole[:5] + [whole[5].replace('"event":"', '"event":"x')] + whole[6:], "record 6 is bad"),
                          (whole[:newest - 1], "fits no record")]:
        records.write_text("\n".join(changed) + "\n")
        done = run_outsider(folder)
        assert done.returncode == 1 and word in done.stdout, done
    records.write_text("\n".join(whole) + "\n")
    checkpoints.write_text(checkpoints.read_text().replace('"gateway":"', '"gateway":"x'))
    done = run_outsider(folder)
    assert done.returncode == 1 and "is bad" in done.stdout, done


def test_an_export_as_csv_holds_the_same(recorded, copy, tmp_path):
    import csv
    recorded.admin("audit", "export", tmp_path / "out", "--csv", "--after", "5", "--store", copy.path)
    with open(tmp_path / "out" / "records.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [{key: str(value) for key, value in row.items()} for row in copy.query("SELECT * FROM audit WHERE sequence > 5 ORDER BY sequence")]
    assert rows == expected
    done = subprocess.run([recorded.program("sallyport-admin"), "audit", "export", str(tmp_path / "out"), "--store", str(copy.path)],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "never overwrites" in done.stderr


def test_checkpoints_leave_the_host(recorded):
    """By the alert mechanism: the lines that a log elsewhere has are the ones that the store has."""
    told = [line[line.index('{"checkpoint"'):] for line in recorded.elsewhere.read_text().splitlines()]
    kept = recorded.admin("audit", "checkpoints", "--store", recorded.database).splitlines()
    assert told and told == kept[:len(told)]


def test_the_bench_of_verifying_is_of_the_whole_thing(release):
    """It asserts by itself that chain, signatures and checkpoints from elsewhere were looked at."""
    bench = pathlib.Path(__file__).resolve().parents[1] / "bench" / "verify"
    done = subprocess.run([bench, "2500", release], text=True, capture_output=True, check=True)
    assert done.stdout.startswith("2501 records, 3 signed checkpoints, each here and elsewhere: ")


# ---- what is old goes, and the rest still proves itself ----

@pytest.fixture(scope="module")
def aged(programs, tmp_path_factory):
    """A world that keeps records for three seconds: (world, a copy from before anything was removed)."""
    from worlds import Worlds
    worlds = Worlds(programs)
    try:
        world = worlds(settings=['audit_checkpoint_time = "1s"', 'audit_keep = "3s"'])
        young = tmp_path_factory.mktemp("aged") / "young.db"
        for _ in range(3):
            api.login(world)
        world.policy.write_text(world.policy.read_text() + "# the second one\n")
        world.admin("policy", "apply")
        copy_store(world.database, young)
        first = lambda: Copy(world.database, world).query("SELECT min(sequence) AS n FROM audit")[0]["n"]
        wait_until(lambda: first() > Copy(young, world).query("SELECT max(sequence) AS n FROM audit")[0]["n"], "removal of what is old")
        api.login(world)
        assert world.stop_process("gateway", 20) == 0
        yield world, young
    finally:
        worlds.close()


def test_G1_old_records_go_and_the_rest_proves_itself(aged, tmp_path):
    world, _ = aged
    status, report = Copy(world.database, world).verify()
    first = Copy(world.database, world).query("SELECT min(sequence) AS n FROM audit")[0]["n"]
    assert status == 0 and report["whole"] and report["removed_up_to"] == first - 1 > 0, report
    world.admin("audit", "export", tmp_path / "out", "--store", world.database, "--key", world.path("etc", "audit.pub"))
    done = run_outsider(tmp_path / "out")
    assert done.returncode == 0, done


def test_G1_policies_go_with_the_record_and_the_one_in_force_is_named_again(aged):
    world, young = aged
    (before, second), (now,) = (Copy(path, world).query("SELECT number, print FROM policy_version ORDER BY number")
                                for path in (young, world.database))
    assert before["number"] == 1 and now == second
    copy = Copy(world.database, world)
    assert [row["print"] for row in copy.query("SELECT print FROM policy_file")] == [now["print"]]
    named = copy.query("SELECT detail FROM audit WHERE event = 'policy_in_force'")
    assert named and {row["detail"] for row in named} == {f"version 2, SHA-256 {now['print']}"}


def test_G1_more_than_a_cut_covers_cannot_go(aged, tmp_path):
    world, _ = aged
    path = tmp_path / "copy.db"
    copy_store(world.database, path)
    first = Copy(path, world).query("SELECT min(sequence) AS n FROM audit")[0]["n"]
    with sqlite3.connect(path) as database, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        database.execute(f"DELETE FROM audit WHERE sequence = {first}")
    database.close()
    copy = Copy(path, world)
    copy.change(f"DELETE FROM audit WHERE sequence = {first}")
    status, report = copy.verify()
    assert status == 1 and report["first_bad"] in (1, first), report
    cut = copy.query("SELECT * FROM checkpoint WHERE kind = 'cut' ORDER BY sequence DESC LIMIT 1")[0]
    copy.change(f"UPDATE checkpoint SET sequence = {first} WHERE kind = 'cut' AND sequence = {cut['sequence']}")
    status, report = copy.verify()
    assert status == 1 and "signature" in report["findings"][0]["finding"], report


def test_G1_a_removal_that_was_interrupted_is_no_finding(aged, tmp_path):
    """kill -9 between the cut and the last of its records: all, some or none of them are there."""
    world, young = aged
    path = tmp_path / "copy.db"
    copy_store(world.database, path)
    copy = Copy(path, world)
    first = copy.query("SELECT min(sequence) AS n FROM audit")[0]["n"]
    database = sqlite3.connect(path)
    database.execute("ATTACH ? AS young", (str(young),))
    database.execute("INSERT INTO audit SELECT * FROM young.audit")
    database.commit()
    database.close()
    number = copy.query("SELECT max(sequence) AS n FROM audit WHERE sequence < (SELECT max(sequence) FROM checkpoint WHERE kind = 'cut')")[0]["n"]
    assert number
    # Between the two copies some are missing here, as no gateway leaves them: take only what is gapless.
    rows = [row["sequence"] for row in copy.query("SELECT sequence FROM audit ORDER BY sequence DESC")]
    gapless = next((a for a, b in zip(rows, rows[1:]) if a - b > 1), rows[-1])
    copy.change(f"DELETE FROM audit WHERE sequence < {gapless}")
    status, report = copy.verify()
    assert status == 0 and gapless <= first, report
