"""Simulated recordings of attempted speech, in the T15 layout, with the truth known.

```
sentence -> phonemes -> durations -> articulatory targets -> movements (T, 28)          lexicon, plan, speech
movements -> log rates of 256 electrodes -> crossings and power (T, 512) -> z-score     population, recording
trials -> <out>/t15.YYYY.MM.DD/data_{train,val,test}.hdf5, truth.hdf5                   session, files, run
several people, a root each below <out>                                              implant, participants
```
"""

from mode_ssm.simulation.run import simulate

__all__ = ["simulate"]
