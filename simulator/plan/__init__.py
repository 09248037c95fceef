"""Foresight: what a run will take, from counts of its Program and a short measurement of this machine."""

from .batch import SCHEDULERS, batch_script
from .predict import Plan, plan

__all__ = ["SCHEDULERS", "Plan", "batch_script", "plan"]
