"""What an unchanged build needs, in as little of the standard library as can be: every import here costs start-up time."""
