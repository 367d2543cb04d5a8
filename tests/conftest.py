"""What all tests share: how properties look for examples.

`make test` takes the same examples each time, so that what passes today passes tomorrow; HYPOTHESIS_PROFILE=explore looks for
new ones. No example has a deadline, since test machines stall now and then.
"""

import os

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
