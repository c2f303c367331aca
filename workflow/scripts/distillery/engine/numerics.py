"""Versions of the numbers that the engine computes: a part of what an unfinished run is found by.

The code's text is no part of it, so that a killed run goes on after modules, fields and comments have changed. Whoever
changes a number by more than the last bits of a sum raises the version: tests compare curves with those recorded.
"""

# weights and losses; raised for another layout of a work folder, too. The first version is spelled as the digests of code
# and C++ sources that stood in its place before, so that runs killed then go on as well; the next is {"version": 2}
TRAINING = {
    "code": "ad6c8e10894b20be",
    "native": [
        "15125a7d477fcc540536ffe2b9a717ca6f6e39773114dce6d71343526fe1b1d4",
        "de35d7ee4b9e86f7959da1603b67ac6f19ba9be7f22f85023bfea978459b4d1c",
    ],
}
# tokens and texts of answers; raised for other fields of their records, too
GENERATION = 1
