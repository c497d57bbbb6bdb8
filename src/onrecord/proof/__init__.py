"""The proof room: everything needed to make and to check the evidence of a record.

Pure and alone: the standard library only, nothing else of ``onrecord``, no database and no
network. The only file ever read is the one given to :func:`onrecord.proof.verify.verify`, so
that the same sources, bundled into one file, are the verifier a stranger can run and read.

==============  ================================================================================
``canonical``   one spelling for every value (RFC 8785), and the refusal of any other
``merkle``      leaves, nodes, frontier, proofs and tiles (RFC 9162 section 2.1)
``ed25519``     verification of signatures (RFC 8032); signing is somebody else's job
``note``        signed notes and verifier keys (C2SP signed-note)
``checkpoint``  origin, size and root as a note's text (C2SP tlog-checkpoint)
``seal``        what a file's last note states about all that precedes it
``archive``     the sealed JSON Lines archive of one organisation, for writers
``entries``     the rules that a run of entry lines must keep, for verifiers
``verify``      a file in, a report out
==============  ================================================================================
"""
