() => {
  const at = (id) => document.getElementById(id);
  const token = () => document.querySelector('#uploads-token [data-token]')?.dataset.token ?? '';
  const here = (name) => `${location.pathname.replace(/\/?$/, '/')}afterimage/${name}`;
  const MIB = 1048576;

  const send = () => {
    const file = at('uploads-file').files[0], status = at('uploads-status'), bar = at('uploads-sent');
    const limit = Number(at('uploads-file').dataset.limit);
    if (!file) { status.textContent = 'Choose a file first.'; return; }
    if (file.size > limit * MIB) { status.textContent = `This file is larger than ${limit} MiB.`; return; }
    const request = new XMLHttpRequest();
    request.open('POST', here('upload'));
    request.setRequestHeader('x-afterimage-token', token());
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => { bar.value = event.loaded / (event.total || 1); };
    request.onerror = () => { bar.hidden = true; status.textContent = 'The upload was broken off; try again.'; };
    request.onload = () => {
      bar.hidden = true;
      if (request.status !== 200) { status.textContent = request.responseText.trim(); return; }
      status.textContent = `Uploaded, ${(file.size / 1e6).toFixed(1)} MB.`;
      at('uploads-check').click();
    };
    bar.value = 0;
    bar.hidden = false;
    status.textContent = 'Uploading.';
    request.send(file);
  };

  const fetchRun = async () => {
    const status = at('uploads-downloaded');
    status.textContent = 'Packing the run.';
    const answer = await fetch(here('run.zip'), {headers: {'x-afterimage-token': token()}});
    if (!answer.ok) { status.textContent = (await answer.text()).trim(); return; }
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = 'run.zip';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    status.textContent = 'Downloaded.';
  };

  document.addEventListener('click', (event) => {
    if (event.target.id === 'uploads-send') send();
    if (event.target.id === 'uploads-download') fetchRun();
  });
}
