"""A guess at how an English word sounds, from its letters alone: the last resort where there is no dictionary.

Ordered letter-to-sound rules; the first that matches at a place is taken, and the place moves past its letters.
Phonemes are ARPAbet symbols.
"""

import re
from collections.abc import Sequence

# Each rule: letters, with look-around where a neighbour decides (^ is the word's start, $ its end), = their phonemes.
_RULES = """
^kn=N  ^gn=N  ^pn=N  ^wr=R  ^ps=S  ^wh(?=o)=HH  wh=W  ^x=Z  ^y(?=[aeiou])=Y  ^mc=M AH K  ^rh=R
mb$=M  mn$=M  gn$=N  gh$=  ght=T  ough(?=t)=AO  augh(?=t)=AO  eigh=EY  igh=AY  ough=OW  gh=G
ation=EY SH AH N  tion=SH AH N  ssion=SH AH N  sion=ZH AH N  cious=SH AH S  tious=SH AH S  cial=SH AH L  tial=SH AH L
cian=SH AH N  ture=CH ER
tch=CH  dge(?=$|[a-z])=JH  dj=JH  sch=S K  sh=SH  ch(?=r|l|m)=K  ch=CH  th(?=er)=DH  th=TH  ph=F  ck=K  cqu=K W
qu=K W  que$=K  ng$=NG  ng(?=[sk])=NG  ng(?=[ei])=N JH  ng=NG G  nk=NG K  nc(?=[ei])=N S  sc(?=[eiy])=S
(?<=[^aeiou]i)ng$=NG  ism$=IH Z AH M  sts$=S T S  (?<=[td])ed$=IH D  (?<=[pkfsx])ed$=T  (?<=[cs]h)ed$=T
(?<=[a-z]{2})ed$=D
ous$=AH S  ful$=F AH L  less$=L AH S  ness$=N AH S  ment(?=s?$)=M AH N T  able$=AH B AH L  ible$=AH B AH L
[ae]nce$=AH N S  [ae]nt$=AH N T  ity$=AH T IY  or$=ER  en$=AH N  al$=AH L  ^com(?=[bmp])=K AH M
age$=IH JH  ive$=IH V  ate$=EY T  ally$=AH L IY  ly$=L IY  le$=AH L  (?<=[^aeiou])re$=ER
a(?=[^aeiouwxy]e[sd]?$)=EY  e(?=[^aeiouwxy]e[sd]?$)=IY  i(?=[^aeiouwxy]e[sd]?$)=AY  o(?=[^aeiouwxy]e[sd]?$)=OW
u(?=[^aeiouwxy]e[sd]?$)=UW  a(?=[^aeiouwxyr]ing$)=EY  i(?=[^aeiouwxyr]ing$)=AY  o(?=[^aeiouwxyr]ing$)=OW
a(?=ste$|nge)=EY  i(?=nd$|ld$)=AY  o(?=ld|st$|ll$)=OW  al(?=[kl])=AO  al(?=m$)=AA
air=EH R  are$=EH R  ear(?=[ntl])=ER  ear=IH R  eer=IH R  ier$=IY ER  oor=AO R  our=AO R  ore=AO R  oar=AO R
war=W AO R  wor=W ER  ure$=Y UH R  ire=AY ER  arr=AE R  err=EH R  orr=AO R  ar=AA R  er=ER  ir=ER  or=AO R  ur=ER
ee=IY  ea(?=d$|lth|th$|ther|sure)=EH  ea=IY  eau=OW  oo(?=k|d$)=UH  oo=UW  ou(?=[sn]|t|d|ch|th)=AW  ou=UW
ow(?=[nl]$|er|d)=AW  ow=OW  oi=OY  oy=OY  ai=EY  ay=EY  au=AO  aw=AO  ew=UW  eu=UW  ey$=IY  ey=EY  ei=IY
ie$=IY  ie(?=[a-z])=IY  oa=OW  oe=OW  ue$=UW  ui=UW  uy=AY  ye$=AY  ia=IY AH  io=IY OW  ua=UW AH
(?<=[aeiouy][^aeiouy])e$=  (?<=[aeiouy][^aeiouy][^aeiouy])e$=  (?<=^[^aeiouy])e$=IY  (?<=^[^aeiouy]{2})e$=IY  e$=
^y$=W AY  (?<=^[^aeiouy])y$=AY  (?<=^[^aeiouy]{2})y$=AY  fy$=F AY  y$=IY  y(?=[aeiou])=Y  y=IH
cc(?=[eiy])=K S  c(?=[eiy])=S  gg=G  g(?=[eiy][^lt]|e$|y$)=JH  (?<=[aeiou])s(?=[aeiou])=Z  ss=S  zz=Z
bb=B  cc=K  dd=D  ff=F  kk=K  ll=L  mm=M  nn=N  pp=P  rr=R  tt=T  vv=V  aa=AA
(?<=[^aeiou])o$=OW  o$=OW  a$=AH  i$=IY  u$=UW  ^a(?=[^aeiou][aeiou])=AH  wa(?=[tsnd])=W AA  u(?=ll$|sh$)=UH
u(?=[^aeiouy][aeiouy])=UW  o(?=[^aeiouy][aeiouy])=OW  i(?=[^aeiouy][aeiouy])=IH  a(?=[^aeiouy][aeiouy])=AE
b=B  c=K  d=D  f=F  g=G  h(?=[aeiouy])=HH  h=  j=JH  k=K  l=L  m=M  n=N  p=P  q=K  r=R  s=S  t=T  v=V  w=W  x=K S
z=Z  a=AE  e=EH  i=IH  o=AA  u=AH
"""

_LETTERS = """
b=B IY  c=S IY  d=D IY  f=EH F  g=JH IY  h=EY CH  j=JH EY  k=K EY  l=EH L  m=EH M  n=EH N  p=P IY  q=K Y UW  r=AA R
s=EH S  t=T IY  v=V IY  w=D AH B AH L Y UW  x=EH K S  z=Z IY
"""


def _parse(rules: str) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    entries = [entry.strip().rpartition("=") for line in rules.splitlines() for entry in line.split("  ")]
    return [(re.compile(letters), tuple(sounds.split())) for letters, _, sounds in entries if letters]


_COMPILED = _parse(_RULES)
_COMPILED_LETTERS = _parse(_LETTERS)
_SIBILANTS = frozenset("S Z SH ZH CH JH".split())
_VOICELESS = frozenset("P T K F TH".split())


def guess_pronunciation(word: str) -> tuple[str, ...]:
    """Sound out a word; characters other than a-z are silent, and a word of silent letters only is spoken as AH.

    >>> " ".join(guess_pronunciation("night")), " ".join(guess_pronunciation("shelled"))
    ('N AY T', 'SH EH L D')
    """
    letters = re.sub("[^a-z]", "", word.lower())
    if re.search("[^aisu]s$", letters) and len(letters) > 2:
        return add_s(guess_pronunciation(letters[:-1]))
    rules = _COMPILED if re.search("[aeiouy]", letters) else _COMPILED_LETTERS  # TV is spelled out
    sounds: list[str] = []
    place = 0
    while place < len(letters):
        matches = ((pattern.match(letters, place), symbols) for pattern, symbols in rules)
        match, symbols = next((match, symbols) for match, symbols in matches if match)
        sounds += symbols
        place = match.end()
    return tuple(sounds) or ("AH",)


def add_s(sounds: Sequence[str]) -> tuple[str, ...]:
    """Sound of a word with the s of a plural, a verb or a possessive."""
    if sounds[-1] in _SIBILANTS:
        return (*sounds, "IH", "Z")
    return (*sounds, "S" if sounds[-1] in _VOICELESS else "Z")
