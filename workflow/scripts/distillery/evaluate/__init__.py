"""Scores of generations against gold answers, and paired comparisons of two models' scores."""
