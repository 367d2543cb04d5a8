"""Stages that mitigate errors, each exact to the literature it names; registered as anyone's stages are."""
