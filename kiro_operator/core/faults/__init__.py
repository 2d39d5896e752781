"""What is wrong with a pod, as its status tells, and whether a restart can help.

The checks of pods and of workloads ask here, so that both call one fault by one name.
"""
