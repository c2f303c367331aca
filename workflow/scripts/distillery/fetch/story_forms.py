"""The surface forms of `stories`: for each kind of question eight stories and four ways to ask, 384 forms in all.

A story's last two are told only in problems that are held out, so that their forms are new to a model that learnt the others.
{a} {b} {c} are numbers, {name} and {other} people, {things} what is counted.
"""

FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "join": (
        (
            "{name} has {a} {things} and finds {b} more.",
            "{name} picks {a} {things} in the morning and {b} {things} in the afternoon.",
            "There are {a} {things} in a red bag and {b} {things} in a blue bag.",
            "{name} buys {a} {things}. {other} gives {name} {b} {things}.",
            "A shop sells {a} {things} on Monday and {b} on Tuesday.",
            "{name} counts {a} {things} on the table and {b} {things} on the floor.",
            "{other} brings {b} {things} to a room that already holds {a}.",
            "After {a} {things} were packed, {name} packs another {b}.",
        ),
        (
            "How many {things} are there in total?",
            "How many {things} is that altogether?",
            "What is the total number of {things}?",
            "Count all of the {things}. How many are there?",
        ),
    ),
    "take": (
        (
            "{name} has {a} {things} and gives {b} of them to {other}.",
            "There were {a} {things} in a box. {name} took out {b}.",
            "A shop had {a} {things} and sold {b} of them.",
            "{name} baked a cake with {b} of the {a} {things} in the kitchen.",
            "Of {a} {things}, {b} were lost on the way.",
            "{name} carried {a} {things} and dropped {b}.",
            "{other} borrows {b} {things} from the {a} that {name} owns.",
            "A storm carried away {b} of {a} {things}.",
        ),
        (
            "How many {things} are left?",
            "How many {things} remain?",
            "What number of {things} is left over?",
            "How many of the {things} are still there?",
        ),
    ),
    "groups": (
        (
            "{name} has {a} boxes with {b} {things} in each box.",
            "There are {a} shelves, and each shelf holds {b} {things}.",
            "{name} makes {b} {things} a day for {a} days.",
            "Each of {a} children brings {b} {things}.",
            "A train has {a} cars, and every car carries {b} {things}.",
            "{name} fills {a} bags and puts {b} {things} into each.",
            "In a garden there are {a} rows of {b} {things}.",
            "Every week {other} mends {b} {things}, and {a} weeks have passed.",
        ),
        (
            "How many {things} are there in total?",
            "How many {things} is that altogether?",
            "What is the total number of {things}?",
            "Count all of the {things}. How many are there?",
        ),
    ),
    "share": (
        (
            "{name} shares {p} {things} equally among {a} friends.",
            "{p} {things} are packed into {a} boxes, as many in each.",
            "{name} puts {p} {things} into {a} equal piles.",
            "A teacher divides {p} {things} evenly between {a} tables.",
            "{p} {things} are spread evenly over {a} days.",
            "{a} bags hold {p} {things}, and each bag holds the same number.",
            "{other} lays out {p} {things} in {a} rows of the same length.",
            "A crew of {a} sailors splits {p} {things} into equal shares.",
        ),
        (
            "How many {things} does each one get?",
            "How many {things} are in one part?",
            "What is the number of {things} for each?",
            "How many {things} is that for every single one?",
        ),
    ),
    "join and take": (
        (
            "{name} has {a} {things}, gets {b} more and then gives away {c}.",
            "A shop had {a} {things}, received {b} more and sold {c}.",
            "There were {a} {things} in a jar. {name} added {b} and took out {c}.",
            "{name} found {a} {things} and {other} found {b}. They lost {c} of them.",
            "{a} {things} came by car and {b} by train. {c} were broken.",
            "{name} picked {a} {things}, then {b} more, and ate {c}.",
            "To the {a} {things} in a barn {other} brought {b}, but {c} were stolen.",
            "{name} printed {a} {things} on one day, {b} on the next, and threw {c} away.",
        ),
        (
            "How many {things} are left?",
            "How many {things} remain?",
            "What number of {things} is left over?",
            "How many of the {things} are still there?",
        ),
    ),
    "groups and more": (
        (
            "{name} has {a} boxes with {b} {things} each and {c} loose {things}.",
            "There are {a} shelves with {b} {things} on each, and {c} {things} lie on the floor.",
            "{name} makes {b} {things} a day for {a} days and already had {c}.",
            "Each of {a} children brings {b} {things}, and the teacher brings {c}.",
            "{name} buys {a} packs of {b} {things}. {other} adds {c} {things}.",
            "{a} trucks carry {b} {things} each. One more truck carries {c}.",
            "Beside {a} rows of {b} {things} there are {c} {things} in a corner.",
            "{other} saw {c} {things} at the door and {a} groups of {b} in the hall.",
        ),
        (
            "How many {things} are there in total?",
            "How many {things} is that altogether?",
            "What is the total number of {things}?",
            "Count all of the {things}. How many are there?",
        ),
    ),
    "groups and fewer": (
        (
            "{name} has {a} boxes with {b} {things} each and gives away {c} {things}.",
            "There were {a} shelves with {b} {things} on each. {name} sold {c} {things}.",
            "{name} made {b} {things} a day for {a} days, and {c} of them broke.",
            "Each of {a} children brought {b} {things}. {c} {things} were lost.",
            "{name} bought {a} packs of {b} {things} and used {c} {things}.",
            "{a} trucks carried {b} {things} each, of which {c} fell off.",
            "From {a} rows of {b} {things} the wind took {c}.",
            "{other} cooked {c} of the {things} that came in {a} baskets of {b}.",
        ),
        (
            "How many {things} are left?",
            "How many {things} remain?",
            "What number of {things} is left over?",
            "How many of the {things} are still there?",
        ),
    ),
    "change": (
        (
            "{name} buys {a} {things} for {b} dollars each and pays with {p} dollars.",
            "One of the {things} costs {b} dollars. {name} takes {a} and gives {p} dollars.",
            "{name} had {p} dollars and bought {a} {things} at {b} dollars each.",
            "{a} {things} at {b} dollars each are paid with {p} dollars.",
            "{name} goes out with {p} dollars and spends {b} dollars on each of {a} {things}.",
            "For {a} {things}, {b} dollars each, {name} hands over {p} dollars.",
            "{other} saved {p} dollars. Then {other} ordered {a} {things}, each for {b} dollars.",
            "Out of {p} dollars in the purse, {b} dollars go for each of {a} {things}.",
        ),
        (
            "How many dollars are left?",
            "How much money remains, in dollars?",
            "What is the change in dollars?",
            "How many dollars come back?",
        ),
    ),
    "times as many": (
        (
            "{name} has {b} {things}. {other} has {a} times as many.",
            "A small box holds {b} {things}, and a large box {a} times as many.",
            "{name} found {b} {things} on Monday and {a} times as many on Tuesday.",
            "There are {b} {things} in the kitchen and {a} times that number in the garden.",
            "{name} sold {b} {things}, and {other} sold {a} times as many.",
            "One class made {b} {things}. The other class made {a} times as many.",
            "{other} drew {b} {things} last week, and this week {a} times as many.",
            "On the left bank lie {b} {things}, on the right bank {a} times as many.",
        ),
        (
            "How many {things} do both have together?",
            "How many {things} is that altogether?",
            "What is the total number of {things}?",
            "How many {things} are there in all?",
        ),
    ),
    "rest shared": (
        (
            "{name} has {p} {things}, keeps {c} and shares the rest equally among {a} friends.",
            "Of {p} {things}, {c} are broken. The others are packed into {a} boxes, as many in each.",
            "{name} sold {c} of {p} {things} and put the rest into {a} equal piles.",
            "There were {p} {things}. {c} were eaten, the rest was divided evenly between {a} tables.",
            "{name} gave {c} of {p} {things} to {other} and the rest to {a} children in equal parts.",
            "From {p} {things} {c} are taken away. {a} bags hold the rest, each the same number.",
            "{other} loses {c} out of {p} {things} and lays out the others in {a} equal rows.",
            "After {c} of {p} {things} had been sent back, {a} workers split what was left evenly.",
        ),
        (
            "How many {things} does each one get?",
            "How many {things} are in one part?",
            "What is the number of {things} for each?",
            "How many {things} is that for every single one?",
        ),
    ),
    "how many more": (
        (
            "{name} wants {p} {things} and has {a} boxes with {b} in each.",
            "A hall needs {p} {things}. There are {a} rows of {b} {things}.",
            "{name} must make {p} {things} and made {b} a day for {a} days.",
            "{p} {things} were ordered, and {a} trucks brought {b} {things} each.",
            "{name} needs {p} {things}. {a} friends bring {b} {things} each.",
            "A shelf has room for {p} {things}. {name} puts {a} stacks of {b} {things} on it.",
            "{other} promised {p} {things} and so far sent {a} bags of {b}.",
            "The goal is {p} {things}; {a} teams have built {b} each.",
        ),
        (
            "How many more {things} are needed?",
            "How many {things} are still missing?",
            "What number of {things} is missing?",
            "How many {things} must still be added?",
        ),
    ),
    "compare": (
        (
            "{name} has {a} {things}, and {other} has {b} fewer.",
            "A red bag holds {a} {things}, a blue bag {b} fewer.",
            "{name} found {a} {things} on Monday and {b} fewer on Tuesday.",
            "There are {a} {things} in the kitchen and {b} fewer in the garden.",
            "{name} sold {a} {things}, and {other} sold {b} fewer.",
            "One class made {a} {things}. The other class made {b} fewer.",
            "{other} drew {a} {things} last week, and this week {b} fewer.",
            "On the left bank lie {a} {things}, on the right bank {b} fewer.",
        ),
        (
            "How many {things} do both have together?",
            "How many {things} is that altogether?",
            "What is the total number of {things}?",
            "How many {things} are there in all?",
        ),
    ),
}
