"""THE state machine of the service: the only package that writes a job's status.

    queued ──claim──▶ running ──▶ succeeded | failed | cancelled
      ▲  │               │
      │  └─cancel──▶ cancelled
      └──release, or lease expired with attempts left──┘

The database is the queue. Every move appends an event, numbered per job under the job row's lock, in the same
transaction. Cancelling a running job is a request, which its worker confirms. Every function takes a session of
`Database.writing` (queries: of `reading` or `writing`); the caller commits.
"""

from service.database.tables import ENDED, UNFINISHED
from service.jobs.attempts import Loss, claimed_by, interruption_message, lose, release, release_all
from service.jobs.claiming import Claim, TrainingPicture, claim, extend_leases, has_claimable
from service.jobs.deletion import delete
from service.jobs.eta import Estimate, estimate
from service.jobs.maintenance import (
    cancel_orphaned_rpcs,
    delete_old_rpcs,
    expire_leases,
    models_with_stale_jobs,
    take_old_checkpoints,
)
from service.jobs.placement import claimable_models
from service.jobs.progress import (
    NewImage,
    add_image,
    add_metrics,
    add_warning,
    forget_checkpoint,
    progress,
    save_checkpoint,
    set_result,
)
from service.jobs.queries import Filters, TrainingMetrics, events_after, get, last_events, page, training_metrics
from service.jobs.states import JobState
from service.jobs.submitting import NewJob, PinnedConcept, retry, submit
from service.jobs.transitions import (
    EncoderRows,
    RpcResult,
    StoredEmbedding,
    cancel_if_unfinished,
    confirm_cancel,
    fail,
    finish_rpc,
    finish_training,
    force_cancel,
    request_cancel,
    succeed,
)

__all__ = [
    "ENDED",
    "UNFINISHED",
    "Claim",
    "EncoderRows",
    "Estimate",
    "Filters",
    "JobState",
    "Loss",
    "NewImage",
    "NewJob",
    "PinnedConcept",
    "RpcResult",
    "StoredEmbedding",
    "TrainingMetrics",
    "TrainingPicture",
    "add_image",
    "add_metrics",
    "add_warning",
    "cancel_if_unfinished",
    "cancel_orphaned_rpcs",
    "claim",
    "claimable_models",
    "claimed_by",
    "confirm_cancel",
    "delete",
    "delete_old_rpcs",
    "estimate",
    "events_after",
    "expire_leases",
    "extend_leases",
    "fail",
    "finish_rpc",
    "finish_training",
    "force_cancel",
    "forget_checkpoint",
    "get",
    "has_claimable",
    "interruption_message",
    "last_events",
    "lose",
    "models_with_stale_jobs",
    "page",
    "progress",
    "release",
    "release_all",
    "request_cancel",
    "retry",
    "save_checkpoint",
    "set_result",
    "submit",
    "succeed",
    "take_old_checkpoints",
    "training_metrics",
]
