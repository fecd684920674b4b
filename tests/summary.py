#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the results of a test run from meson's log, says why tests were skipped, and fails if any failed or none passed.

A log that is not there is that of a run without tests.

usage: summary.py TESTLOG_JSON
"""
import json
import os
import sys

PASSED, SKIPPED = {"OK", "EXPECTEDFAIL"}, {"SKIP"}

passed = failed = skipped = 0
for line in open(sys.argv[1]) if os.path.exists(sys.argv[1]) else ():
    test = json.loads(line)
    if test["result"] in PASSED:
        passed += 1
    elif test["result"] in SKIPPED:
        skipped += 1
        reason = (test.get("stdout") or test.get("stderr") or "no reason given").strip().splitlines()[-1]
        print(f"skipped: {test['name']}: {reason}")
    else:
        failed += 1
        print(f"failed: {test['name']}: {test['result']}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
