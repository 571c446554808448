"""JSON of jobs of the version before today's, under the names of revision 0006; without a number, it is version 0."""

RENDERING = {
    "width": 64,
    "height": 64,
    "steps": 20,
    "guidance_scale": 4.0,
    "scheduler": "ddim",
    "seed": 2481632,
    "format": "png",
}
NEW_CONCEPT = {
    "owner_id": "own_local",
    "name": "my-dog",
    "class_word": "dog",
    "learnable_property": "object",
    "model": "tiny",
    "method": "import",
    "training": {},
}

INPUTS = {
    "train": {
        "concept": "con_1",
        "name": "my-dog",
        "class_word": "dog",
        "learnable_property": "style",
        "method": "dti",
        "from": "class_word",
        "training": {
            "steps": 400,
            "learning_rate": 0.04,
            "schedule": "constant",
            "batch_size": 4,
            "resolution": 64,
            "num_vectors": None,
            "seed": 7,
            "captions": True,
            "selection": True,
            "background_weight": 0.1,
            "preview_prompt": None,
            "preview_every": 0,
            "kappa": 0.0001,
            "magnitude": "mean",
        },
    },
    "generate": {
        "version": 1,
        "prompt": "a photo of <my-dog>",
        "negative_prompt": "",
        "model": "tiny",
        "num_images": 4,
        **RENDERING,
    },
    "interpolate": {
        "version": 1,
        "from": "my-dog",
        "to": "my-cat",
        "prompt": "a photo of {}",
        "negative_prompt": "blur",
        "model": "tiny",
        "frames": 3,
        "method": "slerp",
        "animation": "gif",
        "contact_sheet": True,
        "shares": [0.0, 0.5, 1.0],
        **RENDERING,
    },
    "import": {"task": "import", "concept": NEW_CONCEPT, "normalize": True},
    "blend": {"task": "blend", "concept": {**NEW_CONCEPT, "method": "blend"}, "weights": [1.0, 0.5]},
    "export": {"task": "export", "format": "a1111"},
    "neighbours": {"task": "neighbours"},
    "inspect": {"task": "inspect", "pictures": ["own_local/pictures/x/1.png", "own_local/pictures/x/2.png"]},
}
"""By kind, and those of RPCs by task."""

RESULTS = {
    "train": {
        "training_images": [
            {
                "id": "img_1",
                "filename": "1.jpg",
                "kept": False,
                "sharpness": 0.5,
                "size": 1.5,
                "agreement": None,
                "score": 0.25,
                "duplicate_of": "img_2",
                "reason": "near_duplicate",
            }
        ]
    },
    "import": {"norms": {"text_encoder": {"before": [9.0], "after": [0.39]}}, "concept": "con_1"},
    "blend": {"concept": "con_1"},
    "export": {"extension": ".pt"},
    "neighbours": {"text_encoder": [[{"token": "dog", "cosine": 0.9}]]},
    "inspect": {"verdicts": [{"checker": "opennsfw", "score": 0.2, "flagged": False}]},
}


def of_revision_0005(stored):
    """The same JSON under the names of revision 0005."""
    if isinstance(stored, dict):
        names = {"learnable_property": "property", "training_images": "pictures"}
        return {names.get(name, name): of_revision_0005(value) for name, value in stored.items()}
    return stored
