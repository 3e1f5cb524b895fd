"""What a network makes of clips before it names them, and how clips lie to each other there.

Clips that sound alike to the network lie together, so a clip among others of another label is probably mislabelled, and
one far from all others is probably damaged or none of the words.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from workers.engine import backends, networks
from workers.engine.batches import plain_features
from workers.engine.data import Clips
from workers.engine.features import FeatureExtractor
from workers.engine.inference import predict
from workers.engine.weights import TrainedNetwork

FloatArray = npt.NDArray[np.float32]

NEIGHBOURS = 10
PERPLEXITY = 30.0
PRINCIPAL_COMPONENTS = 50
FAR_DEVIATIONS = 6.0
COPIES = 0.01
"""As a share of the mean distance. What has its copies nearer says nothing of how far apart clips are."""
DEVIATION_OF_NORMAL = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True)
class Surroundings:
    """The nearest clips of each clip, the nearest first: (clips, neighbours), and whether it is far from them."""

    nearest: npt.NDArray[np.int64]
    is_far: npt.NDArray[np.bool_]


def embeddings(network: TrainedNetwork, clips: Clips) -> FloatArray:
    """Return what the network's readout reads: (clips, width)."""
    features = plain_features(clips, network.clip_samples, FeatureExtractor(network.preprocessing))
    model = networks.build(network.spec, features.shape[1], features.shape[2], len(network.labels))
    networks.assign(model, network.arrays)
    body = keras.Model(model.inputs, model.get_layer("readout").input)
    return predict(backends.load().compiled_prediction(body), features)


def surroundings(points: FloatArray) -> Surroundings:
    """Find the neighbours of points (points, width) by Euclidean distance.

    A point is far where its mean distance to them exceeds the median by six robust standard deviations, those of points
    among their own copies left out.
    """
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(points) - 1)).fit(points)
    distances, nearest = search.kneighbors()
    distance = distances.mean(axis=1)
    apart = distance[distance >= COPIES * distance.mean()]
    median = np.median(apart)
    spread = DEVIATION_OF_NORMAL * np.median(np.abs(apart - median))
    return Surroundings(nearest, distance > median + FAR_DEVIATIONS * spread)


def projection(points: FloatArray) -> FloatArray:
    """Lay points (points, width) out in the plane: (points, 2), the same for the same points.

    t-SNE (van der Maaten & Hinton 2008) of the first principal components, begun from the first two of them.
    """
    width = min(PRINCIPAL_COMPONENTS, *points.shape)
    components = PCA(width, svd_solver="full").fit_transform(points)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=0, n_jobs=1)
    # On a machine that is busy the threads of its many short loops wait for each other, by spinning, for minutes.
    with threadpool_limits(1):
        return np.asarray(plane.fit_transform(components), dtype=np.float32)
