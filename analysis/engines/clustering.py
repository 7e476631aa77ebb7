"""How many kinds of vectors there are, and which is of which: agglomerative clustering with average linkage, to a threshold.

No library that we have does this; scipy would come for this alone. The mean similarity between the members of two clusters is the
product of their mean vectors, so that no table of all pairs is needed. Neighbours are found along chains (Benzécri 1982; Murtagh
1983): what is nearest to each other stays so whatever is merged elsewhere, and a chain of nearest neighbours ends in such a pair.
"""

import numpy as np
from numpy.typing import NDArray


def clusters(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """A number for each of `vectors` (count, size), each of norm 1: 0 and up, in order of first appearance.

    Clusters are merged as long as the mean cosine between their members is `threshold` or more. Takes time with the square of
    their count.
    """
    means = vectors.astype(np.float64)
    sizes = np.ones(len(vectors))
    members = [[index] for index in range(len(vectors))]
    growing = np.ones(len(vectors), bool)
    done: list[list[int]] = []
    chain: list[int] = []
    while growing.any():
        if not chain:
            chain.append(int(growing.argmax()))
        last = chain[-1]
        near = np.where(growing, means @ means[last], -np.inf)
        near[last] = -np.inf
        nearest = int(near.argmax())
        if len(chain) > 1 and near[chain[-2]] >= near[nearest]:
            nearest = chain[-2]
        elif near[nearest] >= threshold:
            chain.append(nearest)
            continue
        chain = chain[:-2]
        if near[nearest] >= threshold:
            means[nearest] = (means[nearest] * sizes[nearest] + means[last] * sizes[last]) / (
                sizes[nearest] + sizes[last]
            )
            sizes[nearest] += sizes[last]
            members[nearest] += members[last]
            growing[last] = False
        else:
            done.append(members[last])
            growing[last] = False
    labels = np.zeros(len(vectors), np.intp)
    for number, cluster in enumerate(sorted(done, key=min)):
        labels[cluster] = number
    return labels
