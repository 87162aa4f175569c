# A page of the guide as the source of a manual page: its title goes, its headings become sections.
1,2d
s/^## /# /
/^    /!s/_/\\_/g
