"""An engine in a process of its own. In: calls of the engine contract. Out: frames to a child that runs an engine.

``codec`` turns typed values into plain ones, ``messages`` says what is said and ``channel`` in which frames, ``server``
is the child, ``process`` its life and death, ``conversation`` its questions, ``engine`` the one that stands for it.
"""
