"""The Python surface. Its public names are `qloom.program`, `qloom.job` and so on, loaded when first used."""
