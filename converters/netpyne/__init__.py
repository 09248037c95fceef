"""NetPyNE models, both ways: saved networks, netParams and simConfig as JSON, index.npjson.

http://doc.netpyne.org. A saved network holds every cell, connection and stimulus: ``saved`` reads it, ``write`` writes
one. All meets in ``instance``: an instantiated network in NetPyNE's own words, turned into the hub there.
"""
