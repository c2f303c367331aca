"""Which rows of a dataset are learnt: filters that look at rows alone, and those that compare rows with one another."""
