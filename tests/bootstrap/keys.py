"""SSH public keys as ssh-keygen (OpenSSH 9.2) made them; their private keys are thrown away.

The two of security keys are put together from those of the same curve (OpenSSH's PROTOCOL.u2f), as there is no
security key here; `ssh-keygen -l` takes them.
"""

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJHL9MLc5+Aay0xZK7Ce2bgVkfva/NB032MtcUZsJY8h"
RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDf8aeTzwXoxeZEyxcDptZiEmJg0Ctp/UjlMS2itxDYLlyUE1OaBmYj5HJ3jFp/"
    "7N4ki1Vfc+WoJ1yEzX9vf9brsJczWks2LevzZ5iuYPjbdCs7S6wCdZbUYZLU/R3tOZg8AuEzCPN5ZL+xEFj39EBWF+FF9ObPNFbJ"
    "UvkIQ2dkPWPMRFhpaNQnpTUjCea4Qf4o6kqS50EHmvmM+6cI9b8mdBOBCs3iOPmnScqgrrirjEtRo/BqSMUSTsomCeETTd+1rnnS"
    "U+QQay0jSeab+k+gSw424IDkxPk6hAuosEtfG1vmsTQXWExCPN24nXstKtYe7hwXp/lV9UdGA5bXtJKi+9p1Al5jtY9BGhsHqSuu"
    "R3SeJZ8kDz3gkt9iek2GkQiozhclvOdw2C4gtESYoCI15ZDLwhEyuLOmcMUsNUqMeoVMHH9Zz3gF16Nke3jH0gGnf04coNbps8Cr"
    "JWgX4vWo+dTDMSEvDqyw2NK/iOgbhzw5DcuLRsZ2TPcPk7Vd428="
)
ECDSA_256 = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGnmRcKsDUKvGZgzkLWy45VDdkqi"
    "rHPBqytBCxIosistYwP9mlfmXGfdZLlY7GGTfeuH3ivWshAXjpFJj1PnveQ="
)
ECDSA_384 = (
    "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBMWXkg6ZjA5OU60ZT5qqW7z9d+0A"
    "p+tYG5U5WN46hGFiLj5kkZrTwCRQ0JK8SpTqR1uGKL2SG7D03xCcaYnHQnyX3PeSPvGQ6eiGqZrmAr2dBlNgZeDU7Ap/GNBPrHhZ"
    "9A=="
)
ECDSA_521 = (
    "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAGdxpKcTcGg4CvIYF/2/+KtyvcH"
    "FD7KYdAX6FypsQC08ljE+JKibYPkoY8IuExJO4myCfNZSK83UshW2KZ+z0dGAwAwoD0ucerJuJ1Z5iujS0IYZuyFtIEW1FNjNW6V"
    "yQTeA7dQ6QchEwVlwJeSZGyUmAAr/6D8RYRXJq4IQWsv2XwQwA=="
)
SK_ED25519 = (
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJHL9MLc5+Aay0xZK7Ce2bgVkfva/"
    "NB032MtcUZsJY8hAAAABHNzaDo="
)
SK_ECDSA = (
    "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyN"
    "TYAAABBBGnmRcKsDUKvGZgzkLWy45VDdkqirHPBqytBCxIosistYwP9mlfmXGfdZLlY7GGTfeuH3ivWshAXjpFJj1PnveQAAAAEc"
    "3NoOg=="
)

ALL = {
    "ed25519": ED25519,
    "rsa": RSA,
    "ecdsa 256": ECDSA_256,
    "ecdsa 384": ECDSA_384,
    "ecdsa 521": ECDSA_521,
    "ed25519-sk": SK_ED25519,
    "ecdsa-sk": SK_ECDSA,
}
