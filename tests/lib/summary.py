"""Adds up JUnit result files and prints the one line that tools read; the status says whether all is well.

Usage: summary.py FILE...   A file that is missing counts as a failure: its runner did not finish.
"""
import sys
import xml.etree.ElementTree


def count(path):
    passed = failed = skipped = 0
    try:
        tree = xml.etree.ElementTree.parse(path)
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        print(f"{path}: {error}")
        return 0, 1, 0
    for case in tree.iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
            print(f"FAILED {case.get('classname', '')} {case.get('name')}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    passed, failed, skipped = (sum(numbers) for numbers in zip(*map(count, sys.argv[1:])))
    line = f"{passed} passed, {failed} failed"
    print(line + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
