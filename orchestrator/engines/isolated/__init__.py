"""An engine in a process of its own. In: calls of the engine contract. Out: frames to a child that runs an engine.

``codec`` turns typed values into plain ones, ``protocol`` says which frames there are, ``server`` is the child,
``process`` its life and death, ``parent`` the engine that stands for it.
"""
