"""Python imports this file in each process that has its folder in PYTHONPATH: there the faults of FAULTS are applied.

So the program is started by its own commands, and its children's children get the faults too.
"""

import json
import os
import traceback

if "FAULTS" in os.environ:
    try:
        from tests.faults import alterations

        alterations.apply(json.loads(os.environ["FAULTS"]))
    except BaseException:  # Python would tell it and go on: a round without its fault would prove nothing
        traceback.print_exc()
        os._exit(70)
