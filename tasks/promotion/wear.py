"""The wear of test rows: each time they choose between two models they lose some of their value as a test.

The k-th decision on the same rows is made at `alpha / k`. If challengers are made without a look at the test rows,

- each decision promotes an equal challenger with probability at most `alpha / k`, so never more than `alpha`. It
  does not matter that the champion was itself chosen on these rows: what let it win, luck included, makes it harder
  to beat (given the difficulty of each row, winning grows and being beaten falls with the champion's own correct
  rows, so by Harris' inequality the two are not positively correlated).
- N decisions make at most `alpha * (1 + 1/2 + ... + 1/N) <= alpha * (1 + ln N)` false promotions on average: at
  `alpha = 0.05` that is 0.23 in a year of weekly retraining, where a constant alpha allows 2.6.

A rule that spends one alpha over all decisions (such as `alpha / (k (k + 1))`) bounds the chance of *any* false
promotion, but leaves the decision after a year a level of 0.00002. To exchange equal models now and then costs little;
to be unable to promote a better one costs what retraining is for.
"""


def alpha_of_decision(alpha: float, number: int) -> float:
    """Error rate granted to the decision of that number, from 1, on the same rows."""
    return alpha / number
