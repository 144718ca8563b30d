"""From phonemes to words: lexicon, n-gram language model, word searches, scores, submission.

text, training sentences -> lm build -> (lm.arpa, lexicon.txt) -+
checkpoint -> posteriors -> word search (ctc, rnnt, joint) <----+ -> n-best -> rescoring -> WER, submission CSV
"""
