"""What all tests share: property tests have no deadline for one example, since test machines stall now and then."""

from hypothesis import settings

settings.register_profile("qloom", deadline=None)
settings.load_profile("qloom")
