"""Adds up result files and prints the one line that tools read; the status says whether all is well.

Usage: summary.py FILE...   JUnit files (.xml); beside them meson's own log (.json), since its JUnit file shows a test that
ran out of time as passed. A file that is missing counts as a failure: its runner did not finish.
"""
import json
import sys
import xml.etree.ElementTree


def unfinished(path):
    """The tests in meson's log of which its JUnit file does not tell how they ended."""
    with open(path, encoding="utf-8") as log:
        results = [json.loads(line) for line in log]
    return {result["name"] for result in results if result["result"] in ("TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")}


def count(path, unfinished_tests):
    passed = failed = skipped = 0
    try:
        tree = xml.etree.ElementTree.parse(path)
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        print(f"{path}: {error}")
        return 0, 1, 0
    for case in tree.iter("testcase"):
        kinds = {child.tag for child in case}
        if case.get("name") in unfinished_tests:
            continue
        if kinds & {"failure", "error"}:
            failed += 1
            print(f"FAILED {case.get('classname', '')} {case.get('name')}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    logs = [path for path in sys.argv[1:] if path.endswith(".json")]
    missing = set()
    for path in logs:
        try:
            missing |= unfinished(path)
        except (OSError, ValueError, KeyError) as error:
            missing.add(f"{path}: {error}")
    counts = [count(path, missing) for path in sys.argv[1:] if path not in logs]
    passed, failed, skipped = (sum(numbers) for numbers in zip(*counts))
    for name in sorted(missing):
        print(f"FAILED {name}: did not end as it has to")
    failed += len(missing)
    line = f"{passed} passed, {failed} failed"
    print(line + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
