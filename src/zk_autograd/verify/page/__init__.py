"""The report as a page: one HTML file that holds all it needs, without scripts.

    document   the whole page, and what a browser may do with it
    verdict    its first screen: the verdict, the levels, what is missing, what failed
    words      what was shown, in plain words
    steps      the eleven steps, and how much of the run they looked at
    sections   the other sections, in reading order
    parts      headings and tables
    icons      small signs beside words
    chain      the records as a picture
    curves     what the trainer claims of loss and saturation, as pictures
    markup     elements: the only place where texts become HTML

Loaded only when a page is asked for (`zk-verify --report`). A page is no evidence: anybody can
write one like it, and it says so at its end.
"""
