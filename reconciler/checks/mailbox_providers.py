"""The domains of well-known mailbox providers: as a domain of the estate, each would swallow every client's mail to it.

A mail server that holds a domain delivers to it at home and asks nobody else. The lists are the providers' own domains,
those with mailboxes for the public; other names below the same top-level domains are other people's.
"""

from __future__ import annotations

_FAMILIES = {  # a provider's name under many registries
    "aol": "at be ca ch cl co.nz co.uk com com.ar com.au com.br com.mx cz de dk es fi fr hk in it jp kr nl pl pt ru se",
    "gmx": "at biz ca cc ch cn co.uk com com.br de es eu fr hk ie info it li lu net org ph pt ru se sg tm tw us",
    "hotmail": "at be ca ch cl co.id co.il co.jp co.kr co.nz co.th co.uk co.za com com.ar com.au com.br com.hk com.mx "
    "com.my com.ph com.sg com.tr com.tw com.vn cz de dk es fi fr gr hu ie in it jp lt lv my nl no ph pt rs se sg sk",
    "live": "at be ca ch cl cn co.kr co.uk co.za com com.ar com.au com.mx com.my com.ph com.pk com.pt com.sg de dk fi "
    "fr hk ie in it jp nl no ph ru se",
    "outlook": "at be bg cl cn co co.id co.il co.nz co.th com com.ar com.au com.br com.gr com.pe com.tr com.tw com.vn "
    "cz de dk es fr hu ie in it jp kr lv my pa ph pt ro sa sg si sk uy",
    "yahoo": "at be bg ca ch cl co.id co.il co.in co.jp co.kr co.nz co.th co.uk co.za com com.ar com.au com.br com.cn "
    "com.co com.hk com.mx com.my com.pe com.ph com.sg com.tr com.tw com.ve com.vn cz de dk ee es fi fr gr hr hu ie in "
    "it jp lt lv my net.au nl no pl pt ro rs se sg si sk ua",
    "yandex": "by com com.tr com.ua ee fr kz lt lv net ru ua uz",
}
_SINGLE = """
gmail.com googlemail.com msn.com passport.com windowslive.com ymail.com rocketmail.com myyahoo.com aim.com
icloud.com me.com mac.com proton.me protonmail.ch protonmail.com pm.me tuta.com tuta.io tutamail.com tutanota.com
tutanota.de keemail.me fastmail.com fastmail.fm hey.com hushmail.com mailfence.com disroot.org riseup.net
mail.com email.com usa.com zoho.com zohomail.com zohomail.eu startmail.com runbox.com
web.de t-online.de freenet.de arcor.de posteo.de posteo.net mailbox.org kabelmail.de online.de email.de
bluewin.ch hispeed.ch swissonline.ch a1.net aon.at chello.at inode.at
orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr numericable.fr
libero.it virgilio.it tiscali.it alice.it tim.it tin.it inwind.it iol.it fastwebnet.it poste.it
telefonica.net terra.es ono.com sapo.pt
ziggo.nl kpnmail.nl xs4all.nl planet.nl home.nl hetnet.nl upcmail.nl telenet.be skynet.be proximus.be
wp.pl o2.pl onet.pl onet.eu op.pl interia.pl poczta.fm gazeta.pl seznam.cz email.cz centrum.cz post.cz volny.cz
azet.sk centrum.sk freemail.hu citromail.hu abv.bg mail.bg
btinternet.com virginmedia.com talktalk.net ntlworld.com blueyonder.co.uk sky.com eircom.net
online.no telia.com comhem.se spray.se tele2.se bredband.net elisanet.fi kolumbus.fi jubii.dk
mail.ru bk.ru inbox.ru list.ru internet.ru rambler.ru ya.ru ukr.net i.ua meta.ua bigmir.net inbox.lv mail.ee
att.net bellsouth.net sbcglobal.net comcast.net verizon.net cox.net charter.net earthlink.net juno.com netzero.net
optonline.net windstream.net frontier.com rogers.com shaw.ca sympatico.ca telus.net videotron.ca bell.net
bigpond.com bigpond.net.au optusnet.com.au iinet.net.au xtra.co.nz
qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn sohu.com aliyun.com 139.com 189.cn 21cn.com
naver.com daum.net hanmail.net kakao.com nate.com docomo.ne.jp ezweb.ne.jp softbank.ne.jp i.softbank.jp nifty.com
rediffmail.com uol.com.br bol.com.br terra.com.br ig.com.br globo.com walla.co.il walla.com mweb.co.za
"""
DOMAINS = frozenset(_SINGLE.split()) | {f"{name}.{end}" for name, ends in _FAMILIES.items() for end in ends.split()}
