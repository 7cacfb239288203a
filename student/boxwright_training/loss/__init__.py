"""The span loss: what the student is told about each token, and how it is computed without the full logits."""

from boxwright_training.loss.head import Head
from boxwright_training.loss.projection import ProjectedGradients, projected_backward
from boxwright_training.loss.span_loss import SpanLoss, SpanLosses
from boxwright_training.loss.supervision import Supervised, Supervision
from boxwright_training.loss.teacher import LocalTeacher, StoredTopK, TeacherInvalid, top_k
from boxwright_training.loss.weights import LearnedWeights

__all__ = [
    "Head",
    "LearnedWeights",
    "LocalTeacher",
    "ProjectedGradients",
    "SpanLoss",
    "SpanLosses",
    "StoredTopK",
    "Supervised",
    "Supervision",
    "TeacherInvalid",
    "projected_backward",
    "top_k",
]
