#!/bin/sh
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
printf '<!doctype html><title>Guestbook</title><h1>%s</h1>\n' "$GREETING"
printf '<form method=post action=/cgi-bin/sign><input name=entry maxlength=200 autofocus><button>Sign</button></form>\n<ul>\n'
wget -q -T 2 -O - http://store:8080/cgi-bin/list | while IFS= read -r entry; do printf '<li>%s\n' "$entry"; done
printf '</ul>\n'
