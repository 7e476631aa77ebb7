"""Personal data in transcripts, found as spans of words, and taken out of text and audio by those spans.

`finding.find` is the face: words with times in, spans out. Recognizers of each kind stand in modules of their own; another one is
anything that fits `spans.Recognizer`. `rewriting` takes the words out of a transcript, `blanking` the sound out of audio. The
standard library alone: no Django, no database, no other room, and no numpy, so that web processes can do it.
"""
