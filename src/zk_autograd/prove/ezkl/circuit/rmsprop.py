"""The quotient of RMSprop's checker circuit. Everything else in it are parts of others: the second
moment and its root are Adam's (adam.py), the gradient, the weights and decay are in weights.py.

The rule (core.rules) and what its lines show, for one element, where V', S, D, U and b0 are as in
adam.py:

    a0 = 2*LR*G + D - 2*D*U - R*a1            a = a0 + R*a1 >= 0, b = 2*D - 1 - a >= 0: U is the
                                              rounded quotient

G takes the place of Adam's Mh: both are integers in two limbs with an offset of 2^30, so nothing
else changes. Without Adam's first moment 31 rows per step and parameter, decay's lines among them;
D may be 0.
"""

from zk_autograd.prove.ezkl.circuit.adam import quotient

QUOTIENT = quotient("G", lambda states, gradients: gradients)
