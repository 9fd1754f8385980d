"""
How do I train on many GPUs?
============================

With Hugging Face accelerate: a mixin makes the class, and a script fits it like any other. This
one is shown, not run, when the page is built: it is for a machine with GPUs. Start it as
``train.py`` with

.. code-block:: sh

    torchrun --nproc_per_node 8 train.py

or with ``accelerate launch --multi_gpu --num_processes 8 train.py``.

:doc:`/many_gpus` tells who does what, and what was measured.
"""

from accelerate import Accelerator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.hf import AccelerateMixin

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import PreActResNet18


class AcceleratedMixupClassifier(AccelerateMixin, MixupClassifier):
    """MixupClassifier on all devices of accelerate."""


X, y = load_digits().images[:, None] / 16, load_digits().target
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Each process trains on its share of every epoch, in minibatches of its own, and mixes within
# them.
accelerator = Accelerator()
clf = AcceleratedMixupClassifier(
    PreActResNet18,
    module__width=4,
    module__n_channels=1,
    accelerator=accelerator,
    batch_size=128 // accelerator.num_processes,
    max_epochs=10,
    random_state=0,
)
clf.fit(X_train, y_train)
if accelerator.is_main_process:
    print(f"{accelerator.num_processes} processes: {clf.score(X_test, y_test):.1%} are right")
