"""Texts that want to become markup, script or a request: more than two hundred, made of vectors and wrappings."""

from __future__ import annotations

import itertools

_VECTORS = (
    "<script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    "<svg onload=window.owned=1>",
    "<svg><script>window.owned=1</script></svg>",
    "<iframe src=javascript:parent.owned=1></iframe>",
    "<iframe srcdoc='<script>parent.owned=1</script>'></iframe>",
    "<body onload=window.owned=1>",
    "<details open ontoggle=window.owned=1>",
    "<a href=javascript:window.owned=1>x</a>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<style>@import 'http://127.0.0.1:9/y.css'</style>",
    "<style>body{background:url(http://127.0.0.1:9/z)}</style>",
    "<img src=http://127.0.0.1:9/beacon>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "<form action=http://127.0.0.1:9/><input autofocus onfocus=window.owned=1>",
    "<object data=http://127.0.0.1:9/o></object>",
    "<embed src=http://127.0.0.1:9/e>",
    "<video><source onerror=window.owned=1></video>",
    "<math><mtext><style><img src=x onerror=window.owned=1></style></mtext></math>",
    "<template><script>window.owned=1</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.owned=1>'>",
    "{{7*7}}<script>window.owned=1</script>${owned=1}",
)
_WRAPPINGS = (
    "{}",
    '">{}',
    "'>{}",
    "`>{}",
    "</td></tr></table>{}",
    "</title></style></textarea>{}",
    "</script>{}",
    "<!--{}-->{}",
    "]]>{}",
    "\u202e{}\u200b",
)
PAYLOADS = tuple(wrapping.replace("{}", vector) for wrapping, vector in itertools.product(_WRAPPINGS, _VECTORS))
