#!/usr/bin/env python3
"""Functions with real programs and real runtimes. Prints a line a failure and last `N passed, N failed`."""
import json
import sys
import time
import traceback
from pathlib import Path

import support

support.binary = Path(sys.argv[1]).resolve()
out_file = Path(sys.argv[2])
only = [part for part in sys.argv[3].split(",") if part] if len(sys.argv) > 3 else []  # names or parts of names
import codes
import edges
import faults
import front
import keys
import languages
import payloads
import reload
import verbs

passed = failed = 0
outcomes = {}
for suite in (verbs, codes, faults, edges, front, languages, reload, keys, payloads):
    for name, case in suite.cases.items():
        if only and not any(part in name for part in only):
            continue
        started = time.monotonic()
        try:
            case()
            passed += 1
            outcomes[name] = True
        except Exception as problem:  # a case fails for any reason
            failed += 1
            outcomes[name] = False
            print(f"{name}: {problem}" if isinstance(problem, AssertionError) else f"{name}: {traceback.format_exc()}")
        if only:
            print(f"{name}: {time.monotonic() - started:.1f} s")
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps(outcomes, indent=1))
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
