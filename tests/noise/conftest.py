from hypothesis import settings

# How long an example takes says nothing about what it shows, least of all on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
