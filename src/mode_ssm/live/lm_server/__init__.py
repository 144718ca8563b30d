"""The protocol of the NEJM language-model server (Card et al. 2024) in front of our CTC word search.

Clients put logits into Redis streams and wait for sentences in others: messages.py knows the form of both,
parameters.py what the clients' parameters mean to our search, and serving.py answers.
"""
