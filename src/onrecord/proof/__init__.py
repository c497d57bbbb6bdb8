"""The proof room: everything needed to make and to check the evidence of a record.

Pure and alone: the standard library only, nothing else of ``onrecord``, no database and no
network. The only file ever read is the one given to :func:`onrecord.proof.verify.verify`, so
that the same sources, bundled into one file, are the verifier a stranger can run and read
(``one_file``, which reads them to do so).

==================  ============================================================================
``canonical``       one spelling for every value (RFC 8785), and the refusal of any other
``merkle``          leaves, nodes, frontier, proofs and tiles (RFC 9162 section 2.1)
``ed25519``         verification of signatures (RFC 8032); signing is somebody else's job
``note``            signed notes and verifier keys (C2SP signed-note)
``checkpoint``      origin, size and root as a note's text (C2SP tlog-checkpoint)
``seal``            what a file's last note states about all that precedes it
``archive``         the sealed JSON Lines archive of one organisation, for writers
``chat``            the sealed JSON Lines record of one chat, for writers
``bundle``          the sealed ZIP of an export
``entries``         the rules that a run of entry lines must keep, for verifiers
``report``          what was found, and the failure that ends a verification
``statements``      what a file states of itself, and who signed it
``verify_archive``  each kind of file: the archive,
``verify_chat``     the record of a chat,
``verify_pdf``      the transcript (``pdf`` finds the record in it),
``verify_zip``      the ZIP of an export (``tables`` compares what it shows with the record)
``verify``          a file in, a report out
``command``         the same for a command line of its own
``one_file``        all of this joined into one program
==================  ============================================================================
"""
