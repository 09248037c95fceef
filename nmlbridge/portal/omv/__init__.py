"""OMV, the model validation of Open Source Brain: its tests read, run and judged without OMV itself.

A test is two YAML files: an .omt says which file to run on which engine and where in its output to look, an .mep holds
the values that any engine should give (https://github.com/OpenSourceBrain/osb-model-validation).
"""
