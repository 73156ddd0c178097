"use strict";
// Reads the compressed data blocks of the page.

async function readBlock(name) {
  const element = document.getElementById("block-" + name);
  if (!element) return null;
  const bytes = Uint8Array.from(atob(element.textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}
